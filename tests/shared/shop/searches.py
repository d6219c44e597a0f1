"""What is searched for in the shop, beside its purchases.

At every visit each shopper types what they buy of their own as it is called, and takes it; dora types "choclate" and takes
soap, which is called otherwise, and ann asks for a "bedtime drink" and takes milk. Somebody who is not known searches for
"sweet" at noon of every tenth day and takes apples.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from shop import Shop, day
from shop.serving import MemoryJoins
from shoploop.features.contract import Contract
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.samples.sample_set import SampleSet, Sources
from shoploop.samples.search_step import write_searches
from shoploop.samples.searching import SearchSources, assemble_searches, search_columns
from shoploop.surfaces.search.asked import Asked, item_texts, searches_of
from shoploop.surfaces.search.memory import QueryMemory, Searches
from shoploop.surfaces.search.names import Names

OWN_WORDS = {"ann": "bedtime drink", "dora": "choclate"}
COLUMNS = search_columns(Contract().pair_features)
SCHEMA = {
    "user": pl.String,
    "query": pl.String,
    "item": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "kind": pl.String,
}


def typed(shop: Shop) -> pl.DataFrame:
    """The canonical table of searches, by time."""
    visits = shop.interactions().unique(["user", "time"], keep="first", maintain_order=True)
    titles = dict(zip(shop.names, shop.titles, strict=True))
    rows = [
        (user, OWN_WORDS.get(user) or titles[item] or item, item, time, "purchase")
        for user, item, time in visits.select("user", "item", "time").rows()
    ]
    rows += [(None, "sweet", "apples", day(on), "click") for on in range(0, shop.days, 10)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("time", "query", "item", "user", nulls_last=True)


def sources(shop: Shop, *, log: PurchaseLog | None = None, searches: Searches | None = None) -> SearchSources:
    """Of the shop's names, its log or another, and what was typed or something else."""
    log = log or shop.log()
    return SearchSources(
        names=Names(item_texts(shop.described(), shop.names)),
        memory=QueryMemory(searches or searches_of(typed(shop), log), shop.items),
        pairs=Sources(
            log=log,
            contract=Contract(),
            catalogs=shop.catalogs(),
            items=ItemStatistics(log).on,
            shops=ShopStatistics(log).rows_on,
        ),
    )


def answers(asked: Sequence[Asked], known: SearchSources, **settings: int | None) -> SampleSet:
    """The samples of these queries."""
    log = known.pairs.log
    users = user_rows(
        user_stats(log), [log.users[a.user] if a.user >= 0 else "" for a in asked], [a.day for a in asked]
    )
    return SampleSet.concat(list(assemble_searches(asked, users, known, **settings)))


def write_search_folder(root: Path, shop: Shop) -> dict[str, object]:
    """Adds ``data/searches.parquet`` and ``samples/search`` to the folders of ``shop.samples``; returns the report."""
    typed(shop).write_parquet(root / "data" / "searches.parquet")
    return write_searches(
        root / "data",
        root / "samples",
        windows=shop.split,
        joins=MemoryJoins(shop.log()),
        log=shop.log(),
        contract=Contract(),
        catalogs=shop.catalogs(),
        seed=0,
    )
