"""What lies beside the images of class folders and is left out, in words."""

from collections.abc import Sequence

from fer_zoo.data.filesystem import Survey
from fer_zoo.data.results import is_result_picture
from fer_zoo.images.names import describe_left_out, is_image_name


def describe_survey(survey: Survey | None, images: Sequence[str]) -> list[str]:
    """Counts and names what is not among the images.

    Args:
        survey: All that lies there.
        images: The names of the images in folders.
    """
    if survey is None:
        return []
    said = []
    loose = [name for name in survey.files if "/" not in name and is_image_name(name)]
    if loose:
        said.append(f"left out {_counted(loose, 'image', 'images')} in no folder")
    there = frozenset(survey.files)
    results = [n for n in survey.files if is_image_name(n) and is_result_picture(n, there)]
    results = [name for name in results if name not in loose]
    if results:
        said.append(f"left out {_counted(results, 'picture', 'pictures')} of results")
    empty = _without_images(survey.folders, images)
    if empty:
        said.append(f"{_counted(empty, 'folder', 'folders')} without images")
    if others := describe_left_out(survey.files):
        said.append(f"left out {others}")
    if survey.hidden:
        hidden = _counted(survey.hidden, "hidden file or folder", "hidden files or folders")
        said.append(f"left out {hidden}")
    if survey.broken:
        one, many = "link that leads nowhere", "links that lead nowhere"
        said.append(_counted(survey.broken, one, many))
    if survey.unlisted:
        one, many = "folder", "folders"
        said.append(f"left out {_counted(survey.unlisted, one, many)} that cannot be listed")
    return said


def _without_images(folders: Sequence[str], images: Sequence[str]) -> list[str]:
    """Returns the outermost folders without any image."""
    filled = {""}
    for name in images:
        while (name := name.rpartition("/")[0]) not in filled:
            filled.add(name)
    return [f for f in folders if f not in filled and f.rpartition("/")[0] in filled]


def _counted(names: Sequence[str], one: str, many: str) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names):,} {one if len(names) == 1 else many} ({shown})"
