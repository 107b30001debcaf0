"""Writes synthetic faces in the layouts that FER-2013 comes in."""

import csv
import zipfile

from PIL import Image

from fer_zoo.labels import FER2013_LABELS, FERPLUS_VOTES


def write_csv(path, faces, header="emotion,pixels,Usage"):
    """Writes a csv with the columns of a header, spelled and spaced as it has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [name.strip().lower() for name in header.split(",")]
    with path.open("w", newline="") as file:
        file.write(header + "\n")
        for face, code, usage in zip(faces.pixels, faces.emotion, faces.usage, strict=True):
            cells = {"emotion": str(code), "pixels": " ".join(map(str, face.ravel()))}
            cells["usage"] = str(usage)
            file.write(",".join(cells[name] for name in columns) + "\n")
    return path


def write_votes(path, faces):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Usage", "Image name", *FERPLUS_VOTES])
        for row, usage, named, votes in zip(
            faces.row, faces.usage, faces.named, faces.votes, strict=True
        ):
            writer.writerow([usage, f"fer{row:07d}.png" if named else "", *votes])
    return path


def write_folders(root, faces):
    for face, code, usage, row in zip(
        faces.pixels, faces.emotion, faces.usage, faces.row, strict=True
    ):
        part = "train" if usage == "Training" else "test"
        folder = root / part / FER2013_LABELS[code]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(folder / f"{usage}_{row}.png")
    return root


def zip_folder(folder, path, inside=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, inside + file.relative_to(folder).as_posix())
    return path
