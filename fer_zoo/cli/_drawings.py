"""Copies of images with boxes and labels drawn, each under a name of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fer_zoo.images.reading import Picture
    from fer_zoo.inference import Prediction

#: Prints what was found in one image: its path and a prediction per face.
Show = Callable[[str, "list[Prediction]"], None]


def saving(show: Show, folder: Path, paths: list[str], read: "Callable[[str], Picture]") -> Show:
    """Draws and writes a copy of the image, then lets ``show`` print.

    Each path has its own name among all paths, with those done before an interruption.

    Args:
        show: What prints.
        folder: Where the copies go.
        paths: The images.
        read: Reads one of them.

    Raises:
        OutputError: If the folder cannot be made, or a copy would replace an image.
    """
    from fer_zoo.atomic import write_atomically
    from fer_zoo.errors import OutputError
    from fer_zoo.inference.drawing import draw_faces
    from fer_zoo.inference.reading import scaled_box

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error}; choose another --save") from error
    targets = _targets(folder, paths)

    def save(path: str, faces: "list[Prediction]") -> None:
        picture = read(path)
        across, down = picture.scale
        texts = [
            (
                face.box and scaled_box(face.box, (1 / across, 1 / down)),
                f"{face.label} {100 * face.probability:.0f} %",
            )
            for face in faces
        ]
        drawn = draw_faces(picture.image, texts)
        write_atomically(targets[path], lambda partial: drawn.save(partial, "PNG"))
        show(path, faces)

    return save


def _targets(folder: Path, paths: list[str]) -> dict[str, Path]:
    """Returns where each image's copy goes, never onto one of the images."""
    from fer_zoo.errors import OutputError

    images = {Path(path).resolve() for path in paths if len(path) < 4096}
    targets: dict[str, Path] = {}
    taken: set[str] = set()
    for i, path in enumerate(paths):
        stem, n = (Path(path).stem if len(path) < 256 else "") or f"image-{i + 1}", 1
        while (name := f"{stem}.png" if n == 1 else f"{stem}-{n}.png") in taken:
            n += 1
        taken.add(name)
        targets[path] = folder / name
        if targets[path].resolve() in images:
            raise OutputError(f"--save {folder} would replace {targets[path]}: give another folder")
    return targets
