"""Datasets cut by their protocols: searches to learn from, queries to judge, and the interactions beside them."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.bench.prediction.datasets import folder_of
from shoploop.bench.prediction.next_basket import tables_of
from shoploop.bench.prediction.problem import NOBODY as NO_USERS
from shoploop.bench.prediction.problem import bare_purchases
from shoploop.errors import NotFound, SpecInvalid
from shoploop.features.contract import Contract, resolve
from shoploop.features.log import PurchaseLog, Vocabulary, choose_vocabulary, purchases
from shoploop.surfaces.search.asked import NOBODY, Asked, item_texts, made_searches, requests_of
from shoploop.surfaces.search.memory import Searches

DATASETS = ("bestbuy-xbox", "online-retail", "completejourney")
JUDGED_DAYS, LEARNED_DAYS, JUDGED = 14, 60, 6_000
"""Of a dataset without a protocol for search: its last days are judged, so many queries of them, drawn."""

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class SearchProblem:
    """One dataset and its protocol, applied. Legend: T judged queries."""

    dataset: str
    queries: str
    """Where they come from: typed, or made of names."""

    log: PurchaseLog
    items: pl.DataFrame
    """``item``, ``title`` and ``category``."""

    texts: list[str]
    contract: Contract
    searches: Searches
    """All, the judged ones with them: memory is cut by day."""

    first: int
    """Day from which queries are learned from."""

    test: int
    """First day that is judged."""

    learn: list[Asked]
    judged: list[Asked]
    """In the order of days."""

    slices: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Parts of the judged queries, (T,) each."""


def problem_of(dataset: str) -> SearchProblem:
    """A dataset under its protocol.

    Raises:
        SpecInvalid: no benchmark knows it.
        NotFound: its files are not there.
    """
    if dataset == "bestbuy-xbox":
        return typed_on_a_phone(folder_of(dataset))
    if dataset == "online-retail":
        return a_gift_shop(folder_of(dataset))
    if dataset == "completejourney":
        return a_known_dataset(dataset)
    raise SpecInvalid(f"No such benchmark knows the dataset {dataset}. It knows {', '.join(DATASETS)}.")


def typed_on_a_phone(folder: Path) -> SearchProblem:
    """Queries typed on Best Buy's mobile site and the games that were clicked: fitted before 2011-10-17, judged until 10-31.

    One query is a user, a text and a time; all clicks after it are right. The clicks are the interactions too.
    """
    path = folder / "clicks.csv.gz"
    if not path.exists():
        raise NotFound(f"{path} does not exist. SHOPLOOP_BENCH_DATA names the folder of the evaluation data.")
    text = {"user": pl.String, "sku": pl.String, "query": pl.String}
    clicks = pl.read_csv(gzip.decompress(path.read_bytes()), schema_overrides=text)
    names = pl.read_csv(folder / "items.csv", schema_overrides={"sku": pl.String})
    moment = pl.col("query_time").str.to_datetime("%Y-%m-%d %H:%M:%S%.f").dt.replace_time_zone("UTC")
    clicks = clicks.with_columns(pl.col("query").fill_null(""), time=moment, item=pl.col("sku"))
    rows = bare_purchases(clicks.select("user", "item", "time"))
    known = sorted({*names["sku"], *clicks["item"]})
    log = PurchaseLog.of(purchases(rows), Vocabulary(tuple(known)))
    items = pl.DataFrame({"item": known}).join(names.select(item="sku", title="name"), on="item", how="left")
    items = items.with_columns(category=pl.lit([], pl.List(pl.String)))
    code = {item: place for place, item in enumerate(known)}
    user_code = {user: place for place, user in enumerate(log.users)}
    day = pl.col("time").dt.epoch("d").cast(pl.Int32).alias("day")
    sorted_clicks = clicks.with_columns(day).sort("time", "user", "query", "item")
    grouped = sorted_clicks.group_by("user", "query", "time", "day", maintain_order=True).agg("item")
    asked = [
        Asked(user=user_code[user], day=when, query=query, items=tuple(sorted({code[item] for item in taken})))
        for user, query, _, when, taken in grouped.iter_rows()
    ]
    queries = sorted(sorted_clicks["query"].unique())
    place = {query: at for at, query in enumerate(queries)}
    searches = Searches(
        queries=tuple(queries),
        query_E=np.array([place[query] for query in sorted_clicks["query"]], np.int32),
        item_E=np.array([code[item] for item in sorted_clicks["item"]], np.int32),
        day_E=sorted_clicks["day"].to_numpy(),
        user_E=np.array([user_code[user] for user in sorted_clicks["user"]], np.int32),
    )
    first, test = _day("2011-08-25"), _day("2011-10-17")
    learn = [each for each in asked if first <= each.day < test]
    judged = [each for each in asked if each.day >= test]
    before = {_letters(each.query) for each in asked if each.day < test}
    taken = {item for each in asked if each.day < test for item in each.items}
    return SearchProblem(
        dataset="bestbuy-xbox",
        queries="typed",
        log=log,
        items=items,
        texts=item_texts(items, log.vocabulary.items),
        contract=resolve(interactions=rows, items=items, users=NO_USERS),
        searches=searches,
        first=first,
        test=test,
        learn=learn,
        judged=judged,
        slices={
            "query_not_seen_before": np.array([_letters(each.query) not in before for each in judged]),
            "item_not_taken_before": np.array([not taken & set(each.items) for each in judged]),
        },
    )


def a_gift_shop(folder: Path) -> SearchProblem:
    """A gift shop's purchases and queries made of names: fitted before 2011-11-01, judged on the file's queries."""
    path = folder / "queries.jsonl"
    if not path.exists():
        raise NotFound(f"{path} does not exist. SHOPLOOP_BENCH_DATA names the folder of the evaluation data.")
    events = pl.read_parquet(folder / "events.parquet")
    names = pl.read_csv(folder / "items.csv", schema_overrides={"item": pl.String})
    bought = events.filter(pl.col("kind") == "purchase")
    rows = bought.select(
        pl.col("user").cast(pl.String),
        pl.col("item").cast(pl.String),
        pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        "kind",
        pl.col("quantity").cast(pl.Float64),
        (pl.col("price") * pl.col("quantity")).alias("price"),
        pl.lit(None, pl.String).alias("shop"),
    )
    known = sorted({*names["item"], *rows["item"]})
    log = PurchaseLog.of(purchases(rows), Vocabulary(tuple(known)))
    items = pl.DataFrame({"item": known}).join(names.select("item", title="name"), on="item", how="left")
    items = items.with_columns(category=pl.lit([], pl.List(pl.String)))
    texts = item_texts(items, log.vocabulary.items)
    searches = made_searches(log, texts, seed=0)
    code = {item: place for place, item in enumerate(known)}
    user_code = {user: place for place, user in enumerate(log.users)}
    first, test = _day("2011-04-01"), _day("2011-11-01")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = sorted((line for line in lines if line["part"] == "test"), key=lambda line: str(line["day"]))
    judged = [
        Asked(
            user=user_code.get(str(line["user"]), NOBODY),
            day=_day(line["day"]),
            query=line["query"],
            items=tuple(sorted(code[str(item)] for item in line["items"])),
        )
        for line in lines
    ]
    one = np.array([line["words"] == 1 for line in lines])
    customers = set(log.user_R[log.day_R < test].tolist())
    strange = np.array([each.user not in customers for each in judged])
    return SearchProblem(
        dataset="online-retail",
        queries="made of names",
        log=log,
        items=items,
        texts=texts,
        contract=resolve(interactions=rows, items=items, users=NO_USERS),
        searches=searches,
        first=first,
        test=test,
        learn=[each for each in requests_of(searches.before(test)) if each.day >= first],
        judged=judged,
        slices={"one_word": one, "two_words": ~one, "one_word_unknown_customer": one & strange},
    )


def a_known_dataset(dataset: str) -> SearchProblem:
    """A dataset of the product, with queries made of names; the last days are judged."""
    rows, items, users = tables_of(dataset)
    bought = purchases(rows)
    last = int(bought["day"].max())  # type: ignore[arg-type]  # days are numbers, and there are some
    test = last - JUDGED_DAYS + 1
    log = PurchaseLog.of(bought, choose_vocabulary(bought, before=test))
    texts = item_texts(items, log.vocabulary.items)
    searches = made_searches(log, texts, seed=0)
    asked, first = requests_of(searches), test - LEARNED_DAYS
    late = [each for each in asked if each.day >= test]
    drawn = np.sort(np.random.default_rng(0).permutation(len(late))[:JUDGED])
    return SearchProblem(
        dataset=dataset,
        queries="made of names",
        log=log,
        items=items,
        texts=texts,
        contract=resolve(interactions=rows, items=items, users=users),
        searches=searches,
        first=first,
        test=test,
        learn=[each for each in asked if first <= each.day < test],
        judged=[late[place] for place in drawn],
    )


def _letters(query: str) -> str:
    return "".join(sign for sign in query.lower() if sign.isascii() and sign.isalnum())


def _day(iso: str) -> int:
    return (date.fromisoformat(iso[:10]) - EPOCH).days
