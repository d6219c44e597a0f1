"""Items with a picture and a text, and photos of them to learn from and to judge by.

Legend: I items, M photos, S side, F folds.
"""

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from shoploop.bench.prediction.datasets import folder_of
from shoploop.data.pictures import Pixels, read_picture
from shoploop.errors import DataUnreadable, NotFound, SpecInvalid
from shoploop.features.log import Int32

DATASETS = ("grocery-images",)
FOLDS = 3
"""Parts of the items; the photos of one part after the other are left out, so that each item is once."""


@dataclass(frozen=True, kw_only=True)
class ImageProblem:
    """One dataset."""

    dataset: str
    names: tuple[str, ...]
    texts: tuple[str, ...]
    """Of each item: name, category, group and description."""

    icons: Pixels
    """(I, S, S, 3)."""

    photos: Pixels
    """To learn from, (M, S, S, 3)."""

    photo_items: Int32
    judged: Pixels
    judged_items: Int32

    def __len__(self) -> int:
        return len(self.names)

    def folds(self, seed: int) -> npt.NDArray[np.int64]:
        """Which part each item is of, (I,): drawn by the seed, all of like size."""
        return np.random.default_rng(seed).permutation(len(self)) % FOLDS


def problem_of(dataset: str) -> ImageProblem:
    """The problem of a dataset.

    Raises:
        SpecInvalid: no benchmark of pictures knows it.
        NotFound: its files are not there.
        DataUnreadable: a file names what is not there.
        PictureUnreadable: a picture is none.
    """
    if dataset not in DATASETS:
        raise SpecInvalid(f"No benchmark of pictures knows the dataset {dataset!r}. Choices: {', '.join(DATASETS)}.")
    return read_problem(folder_of(dataset), dataset)


def read_problem(folder: Path, dataset: str) -> ImageProblem:
    """Reads ``items.csv``, ``photos.csv`` and the archives ``icons.zip``, ``train.zip`` and ``test.zip``; raises as above."""
    items, photos = _rows(folder / "items.csv"), _rows(folder / "photos.csv")
    codes = {row["item"]: code for code, row in enumerate(items)}
    parts = {part: [row for row in photos if row["part"] == part] for part in ("train", "test")}
    pixels = {part: _pictures(folder / f"{part}.zip", [row["photo"] for row in rows]) for part, rows in parts.items()}
    try:
        shown = {part: np.array([codes[row["item"]] for row in rows], np.int32) for part, rows in parts.items()}
    except KeyError as error:
        raise DataUnreadable(f"{folder / 'photos.csv'} names the item {error}, which items.csv has not.") from error
    return ImageProblem(
        dataset=dataset,
        names=tuple(row["name"] for row in items),
        texts=tuple(" ".join(row[c] for c in ("name", "category", "group", "description")) for row in items),
        icons=_pictures(folder / "icons.zip", [row["icon"] for row in items]),
        photos=pixels["train"],
        photo_items=shown["train"],
        judged=pixels["test"],
        judged_items=shown["test"],
    )


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise NotFound(f"{path} is not there.")
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def _pictures(path: Path, names: list[str]) -> Pixels:
    if not path.is_file():
        raise NotFound(f"{path} is not there.")
    with zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
        if missing := [name for name in names if name not in there]:
            raise DataUnreadable(f"{path} has no {missing[0]}, which a table beside it names.")
        return np.stack([read_picture(archive.read(name), name=f"{path}/{name}") for name in names])
