"""What was searched for: as shoppers typed it, or, where a log has no queries, made of the names of what was bought.

Made queries are the practice of product-search research (Van Gysel, de Rijke, Kanoulas 2016, "Learning latent vector spaces
for product search", section 4.1, makes them of categories): one item of each visit is drawn, one or two words of its name are
the query, and what was bought that day under a name that has them all is right. They say nothing of how people type, and
whoever shows a number of theirs says so.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from shoploop.features.log import Int32, PurchaseLog, codes_of, day_of
from shoploop.schemas import WORDS
from shoploop.surfaces.search.memory import Searches
from shoploop.surfaces.search.words import blankless, plain, spelling, stem, words, written

NOBODY = -1
"""Code of a user who is not known."""

OTHERWISE = 0.25
"""Share of the queries that are made whose words are written with another ending that names have, where there is one: people
type "tomato" for what a shop calls "tomatoes", and queries that are all as names have them would teach that nobody does."""

SHORTEST_WORD = 3
"""Letters of a word that a query is made of, at least."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One query of one user on one day, and what they took."""

    user: int
    """Code in the log; :data:`NOBODY` where unknown."""

    day: int
    query: str
    items: tuple[int, ...]
    """Codes, sorted, each once."""


def item_texts(items: pl.DataFrame, vocabulary: Sequence[str]) -> list[str]:
    """What is known of each item in words: title, brand, narrowest category, and what the shop said that a search finds; in
    the order of the vocabulary."""
    about = items.unique("item", keep="first", maintain_order=True)
    joined = pl.DataFrame({"item": vocabulary}, schema={"item": pl.String}).join(
        about, on="item", how="left", maintain_order="left"
    )
    nothing = pl.lit(None, pl.String)
    title, brand, further = (pl.col(name) if name in joined.columns else nothing for name in ("title", "brand", WORDS))
    kind = pl.col("category").list.last() if "category" in joined.columns else nothing
    text = pl.concat_str([part.fill_null("") for part in (title, brand, kind)], separator=" ")
    text = pl.concat_str([text, further], separator=" ", ignore_nulls=True)  # where there is none, nothing changes
    return joined.with_columns(text=text)["text"].to_list()


def searches_of(table: pl.DataFrame, log: PurchaseLog) -> Searches:
    """The searches of a canonical table whose item the vocabulary has, sorted by day.

    Args:
        table: Columns ``user``, ``query``, ``item`` and ``time``.
        log: Gives users and vocabulary.
    """
    rows = (
        table.select("user", "query", "item", day_of("time").alias("day"))
        .join(log.vocabulary.frame(), on="item", maintain_order="left")
        .sort("day", "query", "user", "code", nulls_last=True)
    )
    queries = sorted(rows["query"].unique().to_list())
    return Searches(
        queries=tuple(queries),
        query_E=codes_of(rows["query"], queries),
        item_E=rows["code"].to_numpy().astype(np.int32),
        day_E=rows["day"].to_numpy().astype(np.int32),
        user_E=codes_of(rows["user"], list(log.users)),
    )


Bought = frozenset[tuple[int, int, str, int]]
"""Who (a code in the log), on which day, after which spelling, bought which item (its code)."""


def bought_after(table: pl.DataFrame, log: PurchaseLog) -> Bought:
    """Of the searches of a canonical table those after which the item was bought.

    Args:
        table: As of :func:`searches_of`, with ``kind``.
        log: Gives users and vocabulary.
    """
    bought = searches_of(table.filter(pl.col("kind") == "purchase"), log)
    spelt = [spelling(query) for query in bought.queries]
    return frozenset((user, day, spelt[query], item) for query, item, day, user in _rows(bought))


def made_searches(log: PurchaseLog, texts: Sequence[str], *, seed: int) -> Searches:
    """A query for each visit that has a named item.

    Args:
        log: Purchases.
        texts: Of each item, (I,).
        seed: Of the draws.
    """
    split = [[word for word in dict.fromkeys(plain(text)) if _long_enough(word)] for text in texts]
    have = [frozenset(words(text)) for text in texts]
    spelt = _endings(split)
    _, first_row = log.baskets()
    ends = np.append(first_row[1:], len(log))
    random, endings = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    order = np.argsort(log.day_R[first_row], kind="stable")
    asked: list[tuple[str, int, int, int]] = []
    for visit in order:
        rows = slice(int(first_row[visit]), int(ends[visit]))
        bought = np.unique(log.item_R[rows])
        item = int(bought[random.integers(len(bought))])
        count, start = int(random.integers(1, 3)), float(random.random())
        own = split[item]
        if not own:
            continue
        begin = int(start * max(len(own) - count + 1, 1))
        wanted = own[begin : begin + count]
        right = [int(code) for code in bought if have[code].issuperset(map(stem, wanted))]
        if endings.random() < OTHERWISE:
            wanted = [_other(word, spelt[stem(word)], endings) for word in wanted]
        asked += [(written(wanted), code, int(log.day_R[rows.start]), int(log.user_R[rows.start])) for code in right]
    queries = sorted({query for query, _, _, _ in asked})
    place = {query: code for code, query in enumerate(queries)}
    return Searches(
        queries=tuple(queries),
        query_E=np.array([place[query] for query, _, _, _ in asked], np.int32),
        item_E=np.array([item for _, item, _, _ in asked], np.int32),
        day_E=np.array([day for _, _, day, _ in asked], np.int32),
        user_E=np.array([user for _, _, _, user in asked], np.int32),
    )


def _endings(texts: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """How the words of names are spelt, by their stems."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in texts:
        for word in each:
            found[stem(word)].add(word)
    return {root: sorted(spelt) for root, spelt in found.items()}


def _other(word: str, spelt: Sequence[str], random: np.random.Generator) -> str:
    """Another spelling of a word, drawn; the word where there is none."""
    others = [each for each in spelt if each != word]
    return others[int(random.integers(len(others)))] if others else word


def _long_enough(word: str) -> bool:
    """A pair of a script without blanks is a whole word there."""
    return len(word) >= SHORTEST_WORD or len(blankless(word)) > 1


def requests_of(searches: Searches) -> list[Asked]:
    """Each user's query of a day once, with all that was taken; in the order of days.

    Nobody's are each their own: two strangers are not one.
    """
    grouped: dict[tuple[int, int, str, int], set[int]] = defaultdict(set)
    texts = [spelling(query) for query in searches.queries]
    shown: dict[tuple[int, int, str, int], str] = {}
    for row, (query, item, day, user) in enumerate(_rows(searches)):
        key = (day, user, texts[query], row if user == NOBODY else 0)
        grouped[key].add(item)
        shown.setdefault(key, searches.queries[query])
    return [
        Asked(user=key[1], day=key[0], query=shown[key], items=tuple(sorted(items)))
        for key, items in sorted(grouped.items())
    ]


def _rows(searches: Searches) -> Iterator[tuple[int, int, int, int]]:
    columns: list[Int32] = [searches.query_E, searches.item_E, searches.day_E, searches.user_E]
    return zip(*(column.tolist() for column in columns), strict=True)
