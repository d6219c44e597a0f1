"""What kind of interaction a row is: by a column of words, by a rating, by a sign, or because nobody said.

Nothing is decided without a word: whatever is assumed is noted with its rows and told.
"""

import difflib
import re
from collections.abc import Collection, Mapping

import polars as pl

from shoploop import schemas
from shoploop.api.v1alpha1 import InteractionsSource
from shoploop.data.ids import NOTHING
from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch, TableEmpty

PURCHASE, RETURN, RATING, UNKNOWN = "purchase", "return", "rating", "unknown"

TAKES = ("click", "cart", PURCHASE)
"""How something is taken after a search."""

_WORDS = {
    **dict.fromkeys(
        ("purchase", "purchases", "purchased", "buy", "buys", "bought", "order", "orders", "ordered", "sale", "sold",
         "transaction", "checkout", "ordercompleted", "completedorder", "ordercomplete", "orderplaced", "placedorder",
         "orderpaid", "checkoutcompleted", "purchasecompleted", "completepurchase", "ecommercepurchase", "productpurchased",
         "itempurchased"), PURCHASE
    ),
    **dict.fromkeys(
        ("cart", "carts", "basket", "addtocart", "addedtocart", "addtobasket", "addedtobasket", "addtobag", "cartadd",
         "productadded", "itemadded", "productaddedtocart", "itemaddedtocart"), "cart"
    ),
    **dict.fromkeys(
        ("view", "views", "viewed", "visit", "click", "clicks", "detail", "pageview", "pageviewed", "screenview",
         "productview", "productviewed", "viewproduct", "viewedproduct", "itemview", "itemviewed", "viewitem", "viewcontent",
         "productclick", "productclicked", "itemclick", "itemclicked", "selectitem", "detailview", "productdetail",
         "productdetailview"), "view"
    ),
    **dict.fromkeys(("query", "search", "searched", "sitesearch", "productssearched", "viewsearchresults"), "query"),
    **dict.fromkeys(("return", "returns", "returned", "refund", "refunds", "refunded", "orderrefunded"), RETURN),
}  # fmt: skip
"""Other people's words for our kinds of interaction, those of the common trackers among them (Google Analytics 4, Segment,
Shopify, Meta), in small letters and without what stands between words."""


def meaning(word: str) -> str | None:
    """Our kind of interaction for a word of others, however it is spelt: Product Viewed, product_viewed, productViewed.

    Returns:
        None for a word that nobody here knows.
    """
    return _WORDS.get(re.sub(r"[\s_.:/-]+", "", word.lower()))


def with_takes(searches: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Searches whose kinds, where there are any, say how something was taken: click, cart or purchase; null where nobody
    knows the word.

    Args:
        searches: Canonical columns that were found, among them perhaps ``kind``.
        loaded: Notes which words nobody knows.
    """
    if "kind" not in searches.columns:
        return searches
    words = searches["kind"].drop_nulls().unique().sort().to_list()
    # what is looked at after a search was clicked on
    meant = {word: "click" if meaning(word) == "view" else meaning(word) for word in words}
    strange = [word for word, kind in meant.items() if kind not in TAKES]
    some = ", ".join(repr(word) for word in strange[:8])
    loaded.note(
        "search_kind_unmapped", "searches", int(searches["kind"].is_in(strange).sum()), "changed",
        f"How these were taken is said in words that are not known here: {some}. They teach what was taken, and not whether "
        "it was bought. Words that are known: click, cart, purchase, order.", tell=True,
    )  # fmt: skip
    known = {word: kind for word, kind in meant.items() if kind in TAKES}
    kind = (
        pl.col("kind").replace_strict(known, default=None, return_dtype=pl.String) if known else pl.lit(None, pl.String)
    )
    return searches.with_columns(kind=kind)


SCALE_STEPS = 101
"""A column of at most this many different numbers in the place of a kind is a rating."""

WANTED_FROM = 0.7
"""From this part of the way between a scale's ends a rating says that the item was wanted: 4 of 1 to 5, 7 of 0 to 10."""

SIGNS_OF_ORDERS = ("basket", "quantity", "price")
"""Columns that say that something was bought, whatever was thought of it afterwards."""

OPTIONAL_FROM = 0.05
"""Where this share of an order log's rows or more has no rating, ratings are an afterthought of some: a row is a purchase."""


def optional_rating(signs: Collection[str], *, without: int, rows: int) -> bool:
    """Whether rows without a rating are purchases: a log of orders, of which shoppers rate some.

    Args:
        signs: Which of ``SIGNS_OF_ORDERS`` the log has.
        without: Rows without a rating.
        rows: All of them.
    """
    return bool(signs) and without >= max(1, OPTIONAL_FROM * rows)


def with_kinds(
    events: pl.DataFrame, source: InteractionsSource, *, rows_without: int, mapped: str | None, loaded: Loaded
) -> pl.DataFrame:
    """The events with a kind in every row.

    Args:
        events: Canonical columns that were found, among them perhaps ``kind`` and ``rating``; the latter is used up, but
            for purchases where ratings weigh.
        source: The words of the spec.
        rows_without: Rows of files that lack the column of kinds, while others have it.
        mapped: The name of the column of kinds in the file; None where there is none.
        loaded: Notes what was assumed.

    Raises:
        TableEmpty: the column of kinds is empty in every row.
        SchemaMismatch: kinds are numbers of no rating, or ratings are to weigh and none is above 0.
    """
    given: dict[str, str] = {word.strip().lower(): kind for word, kind in source.kinds.items()}
    if "kind" in events.columns:
        ratings = _as_ratings(events["kind"], given)
        if ratings is None:
            events = _by_words(events, given, rows_without, mapped, loaded)
            return _weighed(events, source, loaded) if schemas.RATING in events.columns else events
        events = events.drop("kind").with_columns(ratings.alias("rating"))
        loaded.note(
            "kind_is_rating", "interactions", events.height, "changed",
            f"Column {mapped!r} was named as the kind, and holds numbers only: it is read as a rating.", tell=True,
        )  # fmt: skip
    if "rating" in events.columns:
        return _weighed(_by_rating(events, source, loaded), source, loaded)
    if source.ratings_as == "weights":
        loaded.tell("spec.data.tables.interactions.ratingsAs: weights has nothing to weigh by: no column is a rating.")
    kind = given.get("", PURCHASE)
    if "" not in given:
        loaded.note(
            "kind_not_told", "interactions", events.height, "kept",
            f"No column says what kind of interaction a row is, so all {events.height:,} rows count as purchases. Map one "
            'in columns: {kind: ...}; or write kinds: {"": purchase} to say that they are.', tell=True,
        )  # fmt: skip
    return events.with_columns(kind=pl.lit(kind))


def _by_words(
    events: pl.DataFrame, given: dict[str, str], rows_without: int, mapped: str | None, loaded: Loaded
) -> pl.DataFrame:
    own = {"": UNKNOWN, "rating": RATING, "other": "other"} | given
    word = pl.col("kind").str.strip_chars().str.to_lowercase().fill_null("")
    word = pl.when(word.is_in(NOTHING) & ~word.is_in(list(given))).then(pl.lit("")).otherwise(word)
    written = events["kind"].value_counts(name="rows").with_columns(word=word)  # of many rows a few different ones
    summed = written.group_by("word").agg(pl.col("rows").sum()).sort(["rows", "word"], descending=[True, False])
    counts: dict[str, int] = dict(summed.iter_rows())
    if set(counts) == {""} and "" not in given:
        raise TableEmpty(
            f"interactions: column {mapped!r}, which says what kind a row is, is empty in all {events.height:,} rows. Leave "
            'it out of columns, or say what such rows are: kinds: {"": purchase}.'
        )
    for name in given:
        if name and name not in counts:
            near = difflib.get_close_matches(name, [found for found in counts if found], n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            loaded.tell(f"spec.data.tables.interactions.kinds names {name!r}, which no row has{hint}")
    if "" in counts and "" not in given:
        lacking = f" {rows_without:,} of them come from files without the column." if rows_without else ""
        loaded.note(
            "kind_missing", "interactions", counts[""], "changed",
            f"These rows have no kind. They became {UNKNOWN!r}, which is never learned from.{lacking} Say what they are: "
            'kinds: {"": view} or {"": purchase}.', tell=True,
        )  # fmt: skip
    read = {name: own.get(name) or meaning(name) or name for name in counts}
    loaded.kinds = [{"word": name, "kind": read[name], "rows": rows} for name, rows in counts.items()]
    strange = {name: rows for name, rows in counts.items() if name not in own and meaning(name) is None}
    if strange:
        some = ", ".join(f"{name!r} ({rows:,})" for name, rows in list(strange.items())[:8])
        loaded.note(
            "kind_unmapped", "interactions", sum(strange.values()), "kept",
            f"Kinds without a meaning here: {some}. They are carried along and never learned from. Map them: kinds: "
            f"{{{next(iter(strange))}: view}}.", tell=True,
        )  # fmt: skip
    if PURCHASE not in read.values():
        found = ", ".join(f"{name!r} ({rows:,})" for name, rows in list(counts.items())[:8])
        loaded.tell(
            f"interactions: no row is a purchase; kinds found: {found}. "
            "Map the one that you want more of: kinds: {...: purchase}."
        )  # fmt: skip
    meant: dict[str | None, str] = {kind: read[name] for kind, name in written.select("kind", "word").iter_rows()}
    without = meant.pop(None, UNKNOWN)
    kinds = (
        pl.col("kind").replace_strict(meant, default=None, return_dtype=pl.String) if meant else pl.lit(None, pl.String)
    )
    return events.with_columns(kind=kinds.fill_null(without))


def _as_ratings(kinds: pl.Series, given: dict[str, str]) -> pl.Series | None:
    """The numbers, where a column of kinds holds nothing but few different ones that nobody mapped."""
    filled = kinds.drop_nulls()
    if filled.is_empty() or given:
        return None
    for some in (filled.head(100), filled):
        numbers = some.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count():
            return None
    if numbers.n_unique() < 3:
        raise SchemaMismatch(
            f"interactions: kinds are the numbers {', '.join(sorted(filled.unique().to_list()))}, and nobody says what they "
            "mean. Map them in spec.data.tables.interactions.kinds, e.g. {'1': purchase, '0': view}."
        )
    return kinds.str.strip_chars().cast(pl.Float64, strict=False) if numbers.n_unique() <= SCALE_STEPS else None


def _by_rating(events: pl.DataFrame, source: InteractionsSource, loaded: Loaded) -> pl.DataFrame:
    ratings = events["rating"]
    filled = ratings.drop_nulls()
    given = {word.strip().lower(): kind for word, kind in source.kinds.items()}
    signs = [sign for sign in SIGNS_OF_ORDERS if sign in events.columns]
    optional = optional_rating(signs, without=ratings.null_count(), rows=events.height)
    without = given.get("", PURCHASE if optional else UNKNOWN)
    if filled.is_empty() and without == UNKNOWN:
        raise TableEmpty(
            f"interactions: the column of ratings is empty in all {events.height:,} rows. Leave it out: columns: "
            "{rating: []}."
        )
    if filled.is_empty():
        _note_unrated(events, given, signs, without, loaded)
        return events.with_columns(kind=pl.lit(without))
    low, high = float(filled.min()), float(filled.max())  # type: ignore[arg-type]
    start = low + WANTED_FROM * (high - low) if source.rating_from is None else source.rating_from
    if source.rating_from is None and low == high:
        start = low
    if source.rating_from is None and source.ratings_as == "weights":
        start = _least_above_zero(filled)
    wanted = (ratings >= start).fill_null(False)
    assumed = "" if source.rating_from is not None else " Set ratingFrom to say it otherwise."
    loaded.note(
        "ratings", "interactions", int(filled.len()), "changed",
        f"Ratings from {low:g} to {high:g}: the {int(wanted.sum()):,} rows from {start:g} on count as purchases, i.e. as "
        f"wanted; the others are kept as ratings and teach nothing.{assumed}", tell=source.rating_from is None,
    )  # fmt: skip
    if not wanted.any():
        loaded.tell(f"No rating reaches ratingFrom {start:g}: the highest is {high:g}.")
    kind = (
        pl.when(wanted)
        .then(pl.lit(PURCHASE))
        .when(pl.col("rating").is_null())
        .then(pl.lit(without))
        .otherwise(pl.lit(RATING))
    )
    _note_unrated(events, given, signs, without, loaded)
    return events.with_columns(kind=kind)


def _note_unrated(events: pl.DataFrame, given: Mapping[str, str], signs: list[str], kind: str, loaded: Loaded) -> None:
    """What rows without a rating became, and how to say it otherwise."""
    rows = events["rating"].null_count()
    if "" in given:
        why = f"These rows have no rating and are of kind {kind!r}, as kinds says."
    elif kind == PURCHASE:
        why = (
            f"These rows have no rating. They count as purchases, since the log has {', '.join(signs)}, as orders have, of "
            'which shoppers rate some. Write kinds: {"": other} if they are none; rating: [] in columns lets every row be a '
            "purchase."
        )
    else:
        why = (
            f"These rows have no rating. They became {UNKNOWN!r}, which is never learned from. Say what they are: kinds: "
            '{"": purchase}.'
        )
    loaded.note("rating_missing", "interactions", rows, "changed", why, tell="" not in given)


def _weighed(events: pl.DataFrame, source: InteractionsSource, loaded: Loaded) -> pl.DataFrame:
    """Ratings of purchases where they weigh; else none."""
    if source.ratings_as == "threshold":
        return events.drop(schemas.RATING)
    _least_above_zero(events[schemas.RATING].drop_nulls())
    bought = pl.col("kind") == PURCHASE
    nothing = events.filter(bought & (pl.col(schemas.RATING) <= 0)).height
    counts = bought & (pl.col(schemas.RATING) > 0)
    events = events.with_columns(pl.when(counts).then(pl.col(schemas.RATING)).alias(schemas.RATING))
    given = events[schemas.RATING].drop_nulls().to_numpy()
    missing = int((events["kind"] == PURCHASE).sum()) - len(given) - nothing
    others = f" The other {missing:,} purchases have none and count as the mean." if missing else ""
    if nothing:
        others += f" {nothing:,} purchases are rated 0 or less, which says nothing of how much: they count as the mean."
    if len(given):
        loaded.note(
            "ratings_weigh", "interactions", len(given), "kept",
            f"Ratings weigh: each of these purchases teaches in proportion to its rating, from {given.min():g} to "
            f"{given.max():g}, the mean of about {given.mean():.3g} counting 1.{others}", tell=True,
        )  # fmt: skip
    return events


def _least_above_zero(ratings: pl.Series) -> float:
    least = ratings.filter(ratings > 0).min()
    if least is None:
        highest = f"the highest is {ratings.to_numpy().max():g}" if len(ratings) else "there is none"
        raise SchemaMismatch(
            f"spec.data.tables.interactions.ratingsAs: weights needs ratings above 0, and {highest}. Shift the scale in the "
            "file, or leave ratingsAs out."
        )
    return float(least)  # type: ignore[arg-type]


def with_returns(events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Purchases whose quantity is negative are returns; of those whose price alone is, the ones that are no discount.

    Pieces and money are written without the sign. Money that went back without goods is of kind ``other``: it undoes no
    purchase.
    """
    pieces = pl.col("quantity") < 0 if "quantity" in events.columns else pl.lit(False)
    money = pl.col("price") < 0 if "price" in events.columns else pl.lit(False)
    marked = events.with_columns(
        _goods=((pl.col("kind") == PURCHASE) & pieces).fill_null(False),
        _money=((pl.col("kind") == PURCHASE) & money & ~pieces.fill_null(False)).fill_null(False),
    )
    alone = marked["_money"].any()
    marked = marked.with_columns(_alone=_without_goods(marked) if alone else pl.lit(False))
    back = (pl.col("_goods") | pl.col("_money")) & ~pl.col("_alone")
    loaded.note(
        "returns", "interactions", int(marked.select(back.sum()).item()), "changed",
        "A negative quantity or a negative price: goods went back. The row is of kind return, never something to "
        "recommend; its quantity and price lost their sign.",
    )  # fmt: skip
    loaded.note(
        "discounts", "interactions", int(marked["_alone"].sum()), "changed",
        "A negative price whose quantity is not: less than was paid, on the same receipt or at the same time as the purchase "
        "of that item, or in a log that marks returns otherwise. It is read as a discount, of kind other, and the purchase "
        "stays; if goods went back, write their quantity with a minus, or name the kind return.", tell=True,
    )  # fmt: skip
    signs = [pl.col(name).abs() for name in ("quantity", "price") if name in events.columns]
    kind = pl.when("_alone").then(pl.lit("other")).when(back).then(pl.lit(RETURN)).otherwise(pl.col("kind"))
    return marked.with_columns(kind.alias("kind"), *signs).drop("_goods", "_money", "_alone")


def _without_goods(marked: pl.DataFrame) -> pl.Series:
    """Which rows that are marked as money say nothing of goods: discounts, and what was paid back in part."""
    pair = ["user", "item"]
    has_pieces = "quantity" in marked.columns
    pieces = pl.col("quantity") if has_pieces else pl.lit(None, pl.Float64)
    each = pl.col("price").abs() / pl.when(pieces > 0).then(pieces).otherwise(1.0)
    rows = marked.with_row_index("_row").with_columns(_each=each)
    money = rows.filter("_money")
    bought = rows.filter((pl.col("kind") == PURCHASE) & ~pl.col("_money") & ~pl.col("_goods")).join(
        money, on=pair, how="semi"
    )
    says_otherwise = marked["_goods"].any() or (marked["kind"] == RETURN).any()
    of_no_goods = [money.filter((pieces >= 0) if says_otherwise else (pieces == 0))]
    of_no_goods.append(money.join(bought, on=[*pair, "time"], how="semi"))
    if "basket" in marked.columns:
        of_no_goods.append(money.join(bought, on=[*pair, "basket"], how="semi"))
    least = bought.filter(pl.col("_each") > 0).group_by(pair).agg(_least=pl.col("_each").min())
    of_no_goods.append(money.join(least, on=pair).filter(pl.col("_each") < 0.99 * pl.col("_least")))
    found = pl.concat([each.select("_row") for each in of_no_goods])["_row"]
    return rows["_row"].is_in(found.unique().implode()).alias("_alone")
