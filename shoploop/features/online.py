"""What the predictor reads at a request: one user's statistics, attributes and history from Feast's online store.

Candidates' features are not read per request: the items' statistics of the serving day are packed once, at start, into
the matrix that ranking works on.
"""

import copy
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.features import feast_store
from shoploop.features.bounded_reads import BoundedReads, FeatureStoreUnavailable
from shoploop.features.contract import Contract
from shoploop.features.history import History, midnight
from shoploop.features.in_shop import InShops
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Float32, Int32, Vocabulary
from shoploop.features.offers import Offers
from shoploop.features.packing import unpack
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow

ENTITIES_PER_READ = 500
"""Feast builds one SQL statement per read; SQLite refuses more than a few ten thousand parameters in one."""

READ_SECONDS = 1.0
"""That a server may take to connect, and to answer. Who asks may have less: see :meth:`OnlineFeatures.user`."""


@dataclass(frozen=True, kw_only=True)
class OnlineUser:
    """One user as the online store knows them."""

    stats: UserRow
    attributes: dict[str, str | None] = field(default_factory=dict)
    """By the contract's attribute names; None where unknown."""

    history: History
    """In codes of the vocabulary that the reader was opened with."""


class OnlineFeatures:
    """Reads a features folder's online store. One instance serves all threads of a process."""

    def __init__(self, folder: Path, *, vocabulary: Vocabulary | None = None):
        """Opens the store; imports Feast, which takes seconds.

        Args:
            folder: A features folder, also a copied one.
            vocabulary: The model's, whose codes histories and matrices shall have; the folder's own where not given.

        Raises:
            NotFound: the folder holds no applied repository.
        """
        self._store = feast_store.open_store(folder, read_seconds=READ_SECONDS)
        report = json.loads((folder / "features.json").read_text())
        self.contract = Contract.from_json(json.loads((folder / "contract.json").read_text()))
        self.serving_day: int = report["serving_day"]
        """The day after the data's last, days since 1970-01-01 (UTC): what the online store's rows are as of."""

        own = Vocabulary.of_features(folder)
        self.vocabulary = vocabulary or own
        self._recode: Int32 | None = None
        if self.vocabulary.items != own.items:
            self._recode = self.vocabulary.encode(list(own.items))
        self._shops = pl.read_parquet(folder / "shop_stats.parquet", columns=["shop"])["shop"].unique().sort().to_list()
        self._attributes = tuple(a.name for a in self.contract.user_attributes)
        views = {"user_stats": self.contract.user_stats, "user_history": ("packed",), "user_profile": self._attributes}
        self._features = [f"{view}:{name}" for view, names in views.items() for name in names]
        self._row = feast_store.row_reader(self._store, folder, views)
        self._rows = feast_store.rows_reader(self._store, folder)
        self._lock = threading.Lock()
        where = feast_store.online_server(self._store)
        self._trouble = ""
        self._bounded = None if where is None else BoundedReads(self._user_row, where=where)
        self._folder = folder
        self._buyers: frozenset[str] | None = None
        self._has_looked = False
        self._until: int | None = None
        self._stats: Mapping[str, UserRow] | None = None

    def before(self, day: int, stats: Mapping[str, UserRow] | None = None) -> "OnlineFeatures":
        """The same store with users as they were before ``day``, to replay what came after; items' statistics stay today's.

        Args:
            day: Days since 1970-01-01 (UTC).
            stats: Users' statistics on that day, of all that will be asked for. None: they stay today's, which is no harm
                where only histories are read.
        """
        other = copy.copy(self)
        other._until = other.serving_day = day
        other._stats = stats
        return other

    def user(self, user: str, *, patience: Callable[[], float] | None = None) -> OnlineUser | None:
        """The user's row; None where the store has never seen them buy.

        Args:
            user: Who.
            patience: How many seconds a store that is a server may take at most; nobody asks of a file, which lies on this
                machine. None: as long as its client waits for it.

        Raises:
            FeatureStoreUnavailable: the store cannot be read, or not in time.
        """
        if self._bounded is None:
            found = self._told_once(user)
        else:
            found = self._bounded(user, patience and patience())
        packed = found["packed"]
        if packed is None:
            return None
        history = self._history(*unpack(packed))
        stats = UserRow.of({name: found[name] for name in self.contract.user_stats})
        if self._until is not None:
            history = history.before(self._until)
            if self._stats is not None:
                if not len(history):
                    return None
                stats = self._stats.get(user, UserRow())
        attributes = {name: found[name] for name in self._attributes}
        return OnlineUser(stats=stats, attributes=attributes, history=history)

    def histories(self, users: Sequence[str]) -> dict[str, History]:
        """The stored histories of those of the users whom the store has seen buy, read in bulk.

        Raises:
            FeatureStoreUnavailable: the store cannot be read.
        """
        if not self._has_looked:
            with feast_store.named_errors(self._store):
                self._buyers = feast_store.entities(self._store, self._folder, "user_history")
            self._has_looked = True
        if self._buyers is not None:
            users = [user for user in users if user in self._buyers]
        found: dict[str, History] = {}
        for start in range(0, len(users), ENTITIES_PER_READ):
            chunk = list(users[start : start + ENTITIES_PER_READ])
            read = self._of_view("user_history", ["packed"], "user", chunk)["packed"]
            for user, packed in zip(chunk, read, strict=True):
                if packed is not None:
                    history = self._history(*unpack(packed))
                    found[user] = history if self._until is None else history.before(self._until)
        return found

    def items(self) -> ItemMatrix:
        """Every vocabulary item's statistics as of :attr:`serving_day`, read in chunks: once, at start.

        Raises:
            FeatureStoreUnavailable: the store cannot be read, and the folder does not hold them, either.
        """
        names = self.contract.item_stats
        rows = self._table_of_the_day("item_stats", names, "item", list(self.vocabulary.items))
        return ItemMatrix.from_frame(rows, self.vocabulary, self.serving_day)

    def shops(self) -> dict[str, ShopRow]:
        """Every shop's statistics as of :attr:`serving_day`: once, at start.

        Raises: as :meth:`items`.
        """
        rows = self._table_of_the_day("shop_stats", self.contract.shop_stats, "shop", self._shops)
        return {
            row["shop"]: ShopRow(visits_28=row["visits_28"], mean_basket_size_28=row["mean_basket_size_28"])
            for row in rows.iter_rows(named=True)
        }

    def offers(self) -> Offers | None:
        """What is and will be on offer: once, at start; None where the contract knows of no offers."""
        return Offers.of_features(self._folder, self.contract, self.vocabulary)

    def in_shops(self) -> InShops | None:
        """What was bought in which shop: once, at start; None where the contract does not ask.

        Raises:
            SchemaMismatch: it asks, and the folder has it not.
        """
        return InShops.of_package(self._folder, self.contract, self.vocabulary)

    def _history(self, items_H: Int32, days_H: Int32, quantities_H: Float32) -> History:
        if self._recode is None:
            return History.sorted(items_H, days_H, quantities_H)
        return History.of(self._recode[items_H], np.asarray(days_H), np.asarray(quantities_H))

    def _table_of_the_day(self, view: str, names: tuple[str, ...], key: str, ids: list[str]) -> pl.DataFrame:
        """Rows of the ids that the store knows; where it cannot be read those that were written into it, which lie in the
        folder, too: so a predictor starts while its store is away."""
        try:
            return self._table(view, names, key, ids)
        except FeatureStoreUnavailable as error:
            file = self._folder / f"{view}.parquet"
            if not file.is_file():
                raise
            logging.getLogger(__name__).warning("%s Rows of %s are read from the package.", error, view)
        rows = rows_of_the_day(self._folder, view).filter(pl.col(key).is_in(ids))
        return rows.select(pl.col(key), *(pl.col(name).cast(pl.Float32) for name in names))

    def _table(self, view: str, names: tuple[str, ...], key: str, ids: list[str]) -> pl.DataFrame:
        """Rows of the ids that the store knows."""
        schema = {key: pl.String} | dict.fromkeys(names, pl.Float32)
        frames = [pl.DataFrame(schema=schema)]
        for start in range(0, len(ids), ENTITIES_PER_READ):
            chunk = ids[start : start + ENTITIES_PER_READ]
            found = self._of_view(view, names, key, chunk)
            frames.append(pl.DataFrame({key: chunk} | {name: found[name] for name in names}, schema=schema))
        table = pl.concat(frames)
        return table.filter(pl.col(names[0]).is_not_null())

    def _told_once(self, user: str) -> dict[str, Any]:
        """:meth:`_user_row` of a file; what keeps it from being read is told where it begins."""
        try:
            found = self._user_row(user)
        except FeatureStoreUnavailable as error:
            if str(error) != self._trouble:
                logging.getLogger(__name__).warning("%s Answers do without it until it can be read.", error)
            self._trouble = str(error)
            raise
        self._trouble = ""
        return found

    def _user_row(self, user: str) -> dict[str, Any]:
        """Each of the features of a user; None where the store has none."""
        if self._row is None:
            return {name: values[0] for name, values in self._read(self._features, "user", [user]).items()}
        with self._lock, feast_store.named_errors(self._store):
            return self._row(user)

    def _of_view(self, view: str, names: Sequence[str], key: str, ids: Sequence[str]) -> dict[str, list[Any]]:
        """The features of each of the ids, in their order; None where the store has none."""
        if self._rows is None:
            return self._read([f"{view}:{name}" for name in names], key, ids)
        with self._lock, feast_store.named_errors(self._store):
            return self._rows(view, names, key, ids)

    def _read(self, features: list[str], key: str, ids: Sequence[str]) -> dict[str, list[Any]]:
        with self._lock, feast_store.named_errors(self._store):  # Feast shares one SQLite connection
            answer = self._store.get_online_features(features=features, entity_rows=[{key: one} for one in ids])
        values: dict[str, list[Any]] = answer.to_dict()
        return values


def rows_of_the_day(folder: Path, view: str) -> pl.DataFrame:
    """A view's rows of the serving day as a features folder holds them: those that the online store answers with.

    Args:
        folder: A features folder.
        view: ``item_stats`` or ``shop_stats``.
    """
    serving_day: int = json.loads((folder / "features.json").read_text())["serving_day"]
    rows = pl.scan_parquet(folder / f"{view}.parquet")
    return rows.filter(pl.col("event_timestamp") == midnight(serving_day)).collect()
