"""The folders that FER+'s own script writes: faces with a label.csv of votes beside them."""

import ast
import csv
import posixpath
import re
from collections.abc import Sequence

import torch

from fer_zoo.data.fer2013.ferplus import ferplus_targets
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.data.text_files import read_lines
from fer_zoo.errors import DataError
from fer_zoo.labels import FERPLUS_LABELS, FERPLUS_VOTES

_FOLDER = re.compile(r"FER2013(Train|Valid|Test)", re.IGNORECASE)
_SPLITS = {"train": "train", "valid": "val", "test": "test"}


class FERPlusFolders(KnownDataset):
    """FER+ as its authors' ``generate_training_data.py`` writes it, with majority labels.

    Reads ``FER2013Train``, ``FER2013Valid`` and ``FER2013Test``, each with ``label.csv`` (image,
    box, ten votes) and the faces. Faces without a majority are left out, as in the paper. The known
    leaks of FER-2013 are not: :class:`FERPlus` reads the csv files and leaves them out.

    Example:
        >>> FERPlusFolders("FERPlus/data", "val").label_names[0]  # doctest: +SKIP
        'neutral'
    """

    title = "FER+"
    layout = "FER2013Train/label.csv, FER2013Valid/label.csv and FER2013Test/label.csv with faces"
    split_rule = "train, val and test are Training, PublicTest and PrivateTest of FER-2013"
    citation = "Barsoum, Zhang, Canton Ferrer and Zhang 2016, arXiv:1608.01041"
    terms = "labels MIT, https://github.com/microsoft/FERPlus; faces as FER-2013"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        tables = [name for name in names if posixpath.basename(name).lower() == "label.csv"]
        tables = [n for n in tables if _FOLDER.fullmatch(posixpath.basename(posixpath.dirname(n)))]
        if not tables:
            return None
        there = set(names)
        files: list[str] = []
        splits: list[str] = []
        votes: list[list[int]] = []
        missing = 0
        for table in tables:
            folder = posixpath.dirname(table)
            match = _FOLDER.fullmatch(posixpath.basename(folder))
            for image, counts in _rows(fs, table):
                name = f"{folder}/{image}"
                if name not in there:
                    missing += 1
                    continue
                files.append(name)
                votes.append(counts)
                splits.append(_SPLITS[match[1].lower()] if match else "")
        if not files:
            raise DataError(f"{fs.where(tables[0])} names {missing:,} images, and none is there")
        shares, kept = ferplus_targets(torch.tensor(votes), "majority")
        remarks = [f"left out {int((~kept).sum()):,} faces without a majority"]
        remarks += [f"{missing:,} images of the lists are missing"] if missing else []
        return Listing(
            fs,
            files,
            [FERPLUS_LABELS[i] for i in shares.argmax(dim=1).tolist()],
            splits,
            name="FER+ (majority)",
            label_names=FERPLUS_LABELS,
            remarks=tuple(remarks),
        ).take(kept.tolist())


def _rows(fs: FileSystem, table: str) -> list[tuple[str, list[int]]]:
    """Returns image and votes of each row: fer0000000.png, "(0, 0, 48, 48)", ten numbers."""
    found = []
    for number, record in enumerate(csv.reader(read_lines(fs, table)), start=1):
        if not record:
            continue
        try:
            if len(record) != 2 + len(FERPLUS_VOTES) or len(ast.literal_eval(record[1])) != 4:
                raise ValueError
            found.append((record[0].strip(), [int(float(vote)) for vote in record[2:]]))
        except (ValueError, SyntaxError, TypeError) as error:
            raise DataError(
                f"{fs.where(table)}, line {number}: expected an image, a box and ten votes, got "
                f"{','.join(record)[:80]!r}"
            ) from error
    return found
