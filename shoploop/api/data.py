"""What a Recommender learns from: data, what is expected of them, and the features that are made of them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from shoploop.api.fields import Fraction, Rule, Spec, Text, Url, rules

CanonicalKind = Literal["purchase", "cart", "view", "query", "return", "rating", "other"]


class TableSource(Spec):
    """One table of your own."""

    uri: Url
    """A file, a folder of files (Hive keys in its path are columns), a pattern such as s3://lake/events/*.parquet, or a
    database: duckdb:///shop.db, sqlite:///shop.db, postgresql://user@host/shop. The format is seen by the content: CSV,
    JSON Lines, Parquet or Feather, also compressed (gzip, zstd, bzip2, xz, zip)."""

    query: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    """Of a database: the SELECT whose rows are the table. Either this or table."""

    table: Text | None = None
    """Of a database: the table or view to read whole. Either this or query."""

    columns: dict[str, str | list[str]] = {}
    """Canonical column to the name it has in your file, e.g. {user: customer_id}. A list builds the category path,
    widest first. A canonical column that is not named here is looked for under its own name; an empty list leaves it out."""

    header: Annotated[list[Text], Field(max_length=1000)] = []
    """Names of the columns of a CSV without a header line, in order, e.g. [user, item, rating, time]."""

    separator: Annotated[str, Field(min_length=1, max_length=4)] | None = None
    """What divides the columns of a CSV, e.g. ";" or "::". Unset: what divides its first lines most evenly."""

    encoding: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{2,30}$")] | None = None
    """Of text that is not UTF-8, by Python's name, e.g. cp1251, shift_jis or gb18030. Unset: UTF-8, and lines that are not
    are read as what they look like, which the report names; mostly Windows-1252."""

    time_zone: Text = "UTC"
    """Zone of times that carry none, e.g. Europe/Berlin. Days without a clock stay the days that they are."""

    time_format: str | list[str] | None = None
    """strptime pattern of times that are not ISO 8601, or one of iso, unix-seconds, unix-milliseconds,
    unix-microseconds, unix-days, excel-days; a list where a column holds several shapes."""

    category_separator: Annotated[str, Field(min_length=1, max_length=10)] | None = None
    """What divides one text into the levels of a category path, e.g. "|" or ">". Unset: a text is one level."""

    @model_validator(mode="after")
    def _one_selection(self) -> "TableSource":
        if self.query is not None and self.table is not None:
            raise ValueError("name exactly one of query and table")
        return self


class InteractionsSource(TableSource):
    """The table of who did what with which item, and how its words and numbers are meant."""

    explode: Text | None = None
    """A column that holds several things in each row, as an order its lines: a list, JSON, or a text that explodeSeparator
    divides. Each entry becomes a row of its own beside the row's other columns; objects become columns such as lines.sku."""

    explode_separator: Annotated[str, Field(min_length=1, max_length=4)] | None = None
    """What divides the texts of the column explode, e.g. ",". Unset: they are JSON."""

    kinds: dict[str, CanonicalKind] = {}
    """Your words for kinds of interaction, e.g. {order: purchase, page_view: view}; "" names the rows without one. Only
    purchases are learned to bring about; the others are context."""

    rating_from: Annotated[float, Field(ge=-1_000_000, le=1_000_000)] | None = None
    """Of a column of ratings: from this value on a row counts as a purchase, i.e. as wanted; lower ones are kept as kind
    rating and teach nothing. Unset: from 0.7 of the way between the scale's ends; where ratings weigh, all above 0."""

    ratings_as: Literal["threshold", "weights"] = "threshold"
    """What a column of ratings is for. threshold: it only says which rows count as purchases. weights: what a purchase
    teaches grows in proportion to its rating, too; one of 5 counts more than one of 3. Only training reads it."""

    price_is: Literal["unit", "total"] = "total"
    """Whether price is of one piece or of the whole row, all pieces together."""

    max_events_per_user: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Users with more events are left out, as robots and shared accounts are. Unset: a hundred times what three of four
    users stay below, and at least 500."""


class ImageSource(Spec):
    """Where the pictures of items lie, and what describes them."""

    uri: Url
    """A folder, or file://, s3://, gs:// or az:// with a bucket and a prefix. The column image holds paths below it, or URLs
    that begin with it; nothing outside of it is read. JPEG, PNG, WebP, GIF and BMP up to 20 MiB and 50 megapixels."""

    encoder: Text | None = None
    """A local folder with the encoder of pictures that an earlier version carries (encoder.json and encoder.safetensors).
    Unset: a small convolutional encoder is trained with the model, from these pictures and the items' texts."""


class ItemsSource(TableSource):
    """The table of what can be bought."""

    image: ImageSource | None = None
    """Where the pictures lie that the column image names. Items that nobody has bought are then found by what looks and is
    called like them. Unset: pictures are not looked at."""

    searchable: list[Text] = []
    """Columns of yours, beside title, brand and category, whose words a search finds, e.g. [author, colour, material]. They
    may hold lists of texts. What is long, as a description, makes names weigh less."""


class TablesSpec(Spec):
    """Your own tables. Interactions are enough to begin with."""

    interactions: InteractionsSource
    """Who did what with which item, and when: user, item, time, and optionally kind, quantity, price, shop, basket,
    rating."""

    items: ItemsSource | None = None
    """item, and optionally title, category, brand, price, image; and ends, if columns names it: the last day on which an item
    can be bought, after which it is in no list and found by no search."""

    users: TableSource | None = None
    """user, and any further columns as attributes."""

    shops: TableSource | None = None
    """shop, title, and any further columns as attributes."""

    searches: TableSource | None = None
    """What was searched for and taken: query, item, time, and optionally user and kind: click, cart, purchase, or your words
    for them. Where kinds say what was bought, that teaches more than what was clicked. Where training.surfaces names Search
    and there is no such table, queries are made of the names of what was bought."""

    offers: TableSource | None = None
    """What is in your mailer or on display: item, from and until, the first and the last day, and optionally shop (none: in
    all of them) and kind, a word of yours such as mailer or display. What is to come belongs in it, too: it is known."""


ONE_SOURCE = Rule(cel="has(self.dataset) != has(self.tables)", message="name exactly one of dataset and tables")
OFFERS_OF_A_DATASET = Rule(
    cel="!has(self.offers) || !self.offers || has(self.dataset)",
    message="offers asks for those of a dataset; your own are the table tables.offers",
)


class DataSpec(Spec):
    """The events to learn from: a known dataset or your own tables."""

    model_config = rules(ONE_SOURCE, OFFERS_OF_A_DATASET)

    dataset: Text | None = None
    """Name of a dataset that shoploop knows, e.g. completejourney."""

    offers: bool = False
    """Also learn from what was on offer, where the dataset has that: completejourney, whose 21 million rows of promotions
    take half a minute and 3 GiB to read."""

    tables: TablesSpec | None = None
    """Your own tables, where you name no dataset."""

    claim: Text | None = None
    """On a cluster, the existing PersistentVolumeClaim that a relative uri of a table is read from. On a laptop a relative
    uri is counted from the YAML's folder."""

    feedback: bool = True
    """Also learn from what this recommender's own event log collected."""

    @model_validator(mode="after")
    def _one_source(self) -> "DataSpec":
        if (self.dataset is None) == (self.tables is None):
            raise ValueError(ONE_SOURCE.message)
        if self.offers and self.dataset is None:
            raise ValueError(OFFERS_OF_A_DATASET.message)
        return self


class ExpectationSpec(Spec):
    """How seriously one expectation is taken."""

    severity: Literal["Stop", "Warn", "Ignore"] | None = None
    """Unset: what the expectation itself proposes."""

    tolerance: Fraction | None = None
    """Share of rows that may break it, 0 to 1. Unset: what the expectation itself proposes."""


class ValidationSpec(Spec):
    """What to do about data that breaks an expectation."""

    on_failure: Literal["Stop", "Warn"] = "Stop"
    """Stop ends the run at a broken expectation of severity Stop; Warn reports it and goes on."""

    expectations: dict[str, ExpectationSpec] = {}
    """By name, e.g. interactions.quantity_positive. `shoploop explain` and a run's report list the names."""


class OnlineStoreSpec(Spec):
    """Where a predictor reads a user's features."""

    type: Literal["Sqlite", "Redis"] = "Sqlite"
    """Sqlite is a file for one pod; Redis serves many."""

    connection: Text | None = None
    """host:port of Redis."""


class FeaturesSpec(Spec):
    """What is known about users, items and shops at any time."""

    online_store: OnlineStoreSpec = OnlineStoreSpec()
    """Where a predictor reads a user's features."""
