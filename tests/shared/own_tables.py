"""Small files of one's own, written and loaded; a test names only what it is about."""

from pathlib import Path

import polars as pl

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.step import load_data


class Tables:
    """A folder of small files."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.out = folder / "out"
        self.report: dict = {}

    def csv(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
        return str(path)

    def bytes(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    def parquet(self, name: str, frame: pl.DataFrame) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
        return str(path)

    def load(self, **tables: dict) -> dict[str, pl.DataFrame]:
        self.report = load_data(out=self.out, data_spec=DataSpec(tables=tables))
        return {name: pl.read_parquet(self.out / f"{name}.parquet") for name in self.report["tables"]}

    def events(self, uri: str, **settings: object) -> pl.DataFrame:
        """The interactions of one table of them."""
        return self.load(interactions={"uri": str(uri), **settings})["interactions"]

    def rule(self, name: str) -> dict:
        (found,) = (rule for rule in self.report["rules"] if rule["name"] == name)
        return found

    def rules(self) -> dict[str, int]:
        """Rows by rule."""
        return {rule["name"]: rule["rows"] for rule in self.report["rules"]}

    def told(self) -> str:
        """What is said on the console."""
        return "\n".join(self.report["remarks"])


def log(count: int = 60, *, users: int = 9, items: int = 7, day: int = 20_000, **columns: object) -> pl.DataFrame:
    """``count`` rows, one a day: user u0, u1, ... and item i0, i1, ... in turn."""
    rows = pl.int_range(count, eager=True)
    return pl.DataFrame(
        {
            "user": "u" + (rows % users).cast(pl.String),
            "item": "i" + (rows % items).cast(pl.String),
            "time": ((day + rows) * 86_400_000_000 + 36_000_000_000).cast(pl.Datetime("us")),
        }
    ).with_columns(**{name: pl.Series(values) for name, values in columns.items()})
