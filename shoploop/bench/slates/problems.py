"""Slates cut by their protocol: what was shown, what was done before, which day is learned from and which is judged.

Legend: Q slates, R impressions (a slate and an item in it), E events.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.bench.prediction.datasets import folder_of
from shoploop.errors import NotFound, SpecInvalid, TooFewEvents
from shoploop.features.log import Float32, Int32

EPOCH = date(1970, 1, 1)
FIRST_JUDGED = {"trivago-slates": date(2018, 11, 8)}

KINDS = (
    "interaction item image",
    "interaction item info",
    "interaction item rating",
    "interaction item deals",
    "clickout item",
    "search for item",
)
"""What can be done with an item; all else that somebody does is of no item."""

CLICK = KINDS.index("clickout item")
NO_ITEM, OTHER = -1, -1
SORTED = "change of sort order"
BY_PRICE = ("price only", "Sort by Price")


@dataclass(frozen=True, kw_only=True)
class Slates:
    """Lists that were shown, those of a user together and in the order of time; one item of each was clicked."""

    user_Q: Int32
    session_Q: Int32
    step_Q: Int32
    """Place among what was done in the session."""

    day_Q: Int32
    second_Q: npt.NDArray[np.int64]
    """Since 1970-01-01 (UTC)."""

    offsets_Q1: npt.NDArray[np.int64]
    item_R: Int32
    """Those of a slate ascending, each once."""

    price_R: Float32
    place_R: Int32
    """From 0, which is the top."""

    clicked_R: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.user_Q)

    def rows(self, slate: int) -> slice:
        return slice(int(self.offsets_Q1[slate]), int(self.offsets_Q1[slate + 1]))


@dataclass(frozen=True, kw_only=True)
class Deeds:
    """What was done, that of a user together and in the order of time."""

    user_E: Int32
    session_E: Int32
    step_E: Int32
    day_E: Int32
    second_E: npt.NDArray[np.int64]
    kind_E: Int32
    """Of :data:`KINDS`, or ``OTHER``."""

    item_E: Int32
    """``NO_ITEM`` where it was done with none."""

    by_price_E: npt.NDArray[np.bool_]
    """Whether the list was asked to be in the order of prices."""

    sorted_E: npt.NDArray[np.bool_]
    """Whether the list was asked to be in another order."""


@dataclass(frozen=True, kw_only=True)
class SlateProblem:
    """One dataset and its protocol, applied."""

    dataset: str
    slates: Slates
    deeds: Deeds
    learn: npt.NDArray[np.int64]
    """Places of the slates before the first judged day."""

    judged: npt.NDArray[np.int64]
    """Places of those from it on."""

    test: int
    """The first judged day; what others did from it on is not known."""

    @classmethod
    def of(cls, dataset: str, slates: pl.DataFrame, events: pl.DataFrame, *, test: int) -> "SlateProblem":
        """Cuts slates at the first judged day.

        Args:
            dataset: Its name.
            slates: One row an impression: ``user``, ``session``, ``step``, ``time``, ``item``, ``price``, ``position`` (1
                is the top), ``clicked``.
            events: ``user``, ``session``, ``step``, ``time``, ``action_type``, ``reference``.
            test: The first judged day, in days since 1970-01-01.

        Raises:
            SpecInvalid: a slate has no click, or two, or an item twice.
            TooFewEvents: nothing lies before the day, or nothing from it on.
        """
        shown, deeds = _slates(slates, dataset), _deeds(events)
        learn, judged = np.flatnonzero(shown.day_Q < test), np.flatnonzero(shown.day_Q >= test)
        if not len(learn) or not len(judged):
            raise TooFewEvents(
                f"{dataset} has {len(learn)} slates to learn from and {len(judged)} to judge; at least one of each is "
                "needed. Use a dataset of more days."
            )
        return cls(dataset=dataset, slates=shown, deeds=deeds, learn=learn, judged=judged, test=test)


def problem_of(dataset: str) -> SlateProblem:
    """A dataset under its protocol.

    Raises:
        SpecInvalid: no benchmark knows it.
        NotFound: its files are not there.
    """
    if dataset not in FIRST_JUDGED:
        raise SpecInvalid(
            f"No benchmark of slates knows the dataset {dataset}. It knows {', '.join(FIRST_JUDGED)}: others do not say "
            "what was shown at which place."
        )
    folder = folder_of(dataset)
    tables = [_read(folder / name) for name in ("slates.parquet", "events.parquet")]
    return SlateProblem.of(dataset, *tables, test=(FIRST_JUDGED[dataset] - EPOCH).days)


def _read(path: Path) -> pl.DataFrame:
    if not path.exists():
        raise NotFound(f"{path} does not exist. SHOPLOOP_BENCH_DATA names the folder of the evaluation data.")
    return pl.read_parquet(path)


_WHEN = (
    pl.col("time").dt.epoch("d").cast(pl.Int32).alias("day"),
    pl.col("time").dt.epoch("s").cast(pl.Int64).alias("second"),
)


def _slates(table: pl.DataFrame, dataset: str) -> Slates:
    rows = table.with_columns(_WHEN).sort("user", "second", "session", "step", "item")
    whole = rows.group_by("session", "step", maintain_order=True).agg(
        pl.col("user", "day", "second").first(),
        pl.len().alias("rows"),
        pl.col("clicked").sum(),
        pl.col("item").n_unique(),
    )
    odd = whole.filter((pl.col("clicked") != 1) | (pl.col("item") != pl.col("rows")))
    if len(odd):
        raise SpecInvalid(
            f"{dataset}: {len(odd)} slates have no click, several, or an item twice, such as step {odd['step'][0]} "
            f"of session {odd['session'][0]}. Leave them out: which item was chosen must be plain."
        )
    return Slates(
        user_Q=_int32(whole["user"]),
        session_Q=_int32(whole["session"]),
        step_Q=_int32(whole["step"]),
        day_Q=_int32(whole["day"]),
        second_Q=whole["second"].to_numpy(),
        offsets_Q1=np.concatenate([[0], np.cumsum(whole["rows"].to_numpy())]).astype(np.int64),
        item_R=_int32(rows["item"]),
        price_R=rows["price"].cast(pl.Float32).to_numpy(),
        place_R=_int32(rows["position"]) - 1,
        clicked_R=rows["clicked"].to_numpy() == 1,
    )


def _deeds(table: pl.DataFrame) -> Deeds:
    rows = table.with_columns(_WHEN).sort("user", "second", "session", "step", maintain_order=True)
    kind = pl.col("action_type").replace_strict({name: at for at, name in enumerate(KINDS)}, default=OTHER)
    item = pl.col("reference").cast(pl.Int32, strict=False)
    sorting = (pl.col("action_type") == SORTED) & (pl.col("reference") != "interaction sort button")
    rows = rows.with_columns(
        kind=kind.cast(pl.Int32),
        item=pl.when(kind >= 0).then(item).fill_null(NO_ITEM),
        by_price=(sorting | (pl.col("action_type") == "filter selection")) & pl.col("reference").is_in(BY_PRICE),
        sorted=sorting,
    )
    return Deeds(
        user_E=_int32(rows["user"]),
        session_E=_int32(rows["session"]),
        step_E=_int32(rows["step"]),
        day_E=_int32(rows["day"]),
        second_E=rows["second"].to_numpy(),
        kind_E=_int32(rows["kind"]),
        item_E=_int32(rows["item"]),
        by_price_E=rows["by_price"].fill_null(False).to_numpy(),
        sorted_E=rows["sorted"].fill_null(False).to_numpy(),
    )


def _int32(column: pl.Series) -> Int32:
    found: Int32 = column.cast(pl.Int32).to_numpy()
    return found
