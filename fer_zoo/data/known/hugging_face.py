"""Image folders of Hugging Face ``datasets``: images with metadata.csv, jsonl or parquet."""

import posixpath
from collections.abc import Sequence
from itertools import chain

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import split_of_folder
from fer_zoo.data.tables.face_table import is_table, list_table

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


class HuggingFaceFolder(KnownDataset):
    """An image folder of Hugging Face ``datasets``, whose labels are in its metadata.

    Reads ``metadata.csv``, ``metadata.jsonl`` or ``metadata.parquet`` with the columns
    ``file_name`` and ``label`` (or emotion, expression, class), in the folder of the images or in
    each split's. Numbers need names: :func:`fer_zoo.data.open_data` takes them.

    Example:
        >>> HuggingFaceFolder("faces", "train").label_names  # doctest: +SKIP
        ('bored', 'happy')
    """

    title = "Hugging Face image folder"
    layout = "metadata.csv, metadata.jsonl or metadata.parquet with file_name and label"
    split_rule = "its folders train, validation and test, where it has them"
    citation = "https://huggingface.co/docs/datasets/image_dataset"
    terms = "those of the data set"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        tables = [n for n in names if posixpath.basename(n).lower() in _NAMES and is_table(fs, n)]
        if not tables:
            return None
        parts = [list_table(fs, name) for name in tables]
        splits = [_splits(part) for part in parts]
        boxes = list(chain(*(part.boxes or [None] * len(part.files) for part in parts)))
        groups = list(chain(*(part.groups or part.files for part in parts)))
        return Listing(
            fs,
            list(chain(*(part.files for part in parts))),
            list(chain(*(part.labels for part in parts))),
            list(chain(*splits)),
            name=cls.title,
            boxes=boxes if any(boxes) else None,
            groups=groups if any(part.groups for part in parts) else None,
            remarks=tuple(dict.fromkeys(chain(*(part.remarks for part in parts)))),
            told_by=parts[0].told_by,
            unusable=tuple(chain(*(part.unusable for part in parts))),
        )


def _splits(part: Listing) -> list[str]:
    """Returns each image's split: by a column, or by the folders of the image."""
    if any(part.splits):
        return list(part.splits)
    folders = [name.split("/")[:-1] for name in part.files]
    return [next(filter(None, map(split_of_folder, names)), "") for names in folders]
