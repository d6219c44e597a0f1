"""Custom resources of shoploop.io/v1alpha1, as users write them in YAML.

The docstrings become the CRD's descriptions: they are written for the person who edits YAML. Every default works on a
laptop. Nothing here reads a file or a cluster. What the operator writes back is in status.py.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from shoploop.api.access import AccessSpec
from shoploop.api.exploration import ExplorationSpec
from shoploop.api.fields import (
    API_VERSION,
    GROUP,
    NAME_LENGTH,
    NAME_PATTERN,
    VERSION,
    Fraction,
    Metadata,
    Name,
    Origin,
    Rule,
    Spec,
    Text,
    Url,
    rules,
    validations,
)
from shoploop.api.kubernetes import AuthorityReference, PlacementSpec, ResourcesSpec, SecretReference
from shoploop.api.list_rules import ListRulesSpec
from shoploop.api.online import OnlineSpec
from shoploop.api.runner import RunnerSpec
from shoploop.api.signing import SigningSpec

__all__ = ["API_VERSION", "GROUP", "VERSION", "Metadata", "Name", "Recommender", "RecommenderSpec", "Spec"]


STORE_STAYS = Rule(
    cel="self == oldSelf",
    message="store.uri cannot be changed: versions and promotions lie there; make another Recommender instead",
)


class StoreSpec(Spec):
    """Where runs, versions and promotions are kept."""

    uri: Annotated[Url, Field(json_schema_extra=validations(STORE_STAYS))] = ".shoploop"
    """A folder, or file://, s3://, gs:// or az:// with a bucket and a prefix. On a cluster a folder lies on a
    ReadWriteMany claim. It cannot be changed later."""

    claim: Text | None = None
    """An existing PersistentVolumeClaim for a folder's files, on a cluster. Unset: the operator makes one, 10 GiB of the
    default storage class; runs on Kubeflow look for NAME-store."""

    endpoint: Url | None = None
    """Address of an S3 that is not Amazon's, e.g. http://seaweedfs:8333."""

    region: Text | None = None
    """Region of the bucket, e.g. eu-central-1."""

    secret_ref: SecretReference | None = None
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. On a laptop the environment's own variables are used."""

    ca_ref: AuthorityReference | None = None
    """Secret with the certificates of a private authority that the store's server is known by, on a cluster. Pods trust these
    in place of those that everybody trusts; on a laptop SSL_CERT_FILE does that."""


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

    time_zone: Text = "UTC"
    """Zone of times that carry none, e.g. Europe/Berlin."""

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


class TablesSpec(Spec):
    """Your own tables. Interactions are enough to begin with."""

    interactions: InteractionsSource
    """Who did what with which item, and when: user, item, time, and optionally kind, quantity, price, shop, basket,
    rating."""

    items: ItemsSource | None = None
    """item, and optionally title, category, brand, price, image."""

    users: TableSource | None = None
    """user, and any further columns as attributes."""

    shops: TableSource | None = None
    """shop, title, and any further columns as attributes."""

    searches: TableSource | None = None
    """What was searched for and taken: query, item, time, and optionally user, kind. Where training.surfaces names Search
    and there is no such table, queries are made of the names of what was bought."""


ONE_SOURCE = Rule(cel="has(self.dataset) != has(self.tables)", message="name exactly one of dataset and tables")


class DataSpec(Spec):
    """The events to learn from: a known dataset or your own tables."""

    model_config = rules(ONE_SOURCE)

    dataset: Text | None = None
    """Name of a dataset that shoploop knows, e.g. completejourney."""

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


class DifferentialPrivacySpec(Spec):
    """How much the generator's training may say of any one user."""

    epsilon: Annotated[float, Field(gt=0, le=100)]
    """Less is more private and less like the real; 8 is common, 1 is strict."""

    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """Chance that the promise does not hold; keep it below one over the number of users."""


class AugmentationSpec(Spec):
    """Virtual behaviour for sparse users and items."""

    mode: Literal["Auto", "Never", "Always"] = "Auto"
    """Auto lets only those rows into training that pass privacy and are shown to pay. Always skips the second proof, never
    the first."""

    ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Virtual training samples per real one."""

    differential_privacy: DifferentialPrivacySpec | None = None
    """Trains the generator with noise on every gradient, so that what it learned of any one user is bounded. Set the
    environment variable SHOPLOOP_PSEUDONYM_KEY to get the same noise again."""


class ImportanceSpec(Spec):
    """How much each training sample counts. Weights are used only where a check shows that they do not lose."""

    estimator: Literal[
        "GanAttention",
        "Ensemble",
        "LossRanking",
        "BoostedLossRanking",
        "El2n",
        "Forgetting",
        "TracIn",
        "KnnShapley",
        "DensityRatio",
        "None",
    ] = "GanAttention"
    """What tells doubtful samples from credible ones; the self-check takes another where it is shown to find more. None
    counts every sample alike."""


class TaskSpec(Spec):
    """What kind of log it is, for whoever knows better than the log says; what is unset is seen from the log."""

    sessions: bool | None = None
    """Whether what somebody wants shows within a visit: requests then lie in the middle of visits too. Unset: where half of
    the visits are somebody's first and half have several moments."""

    log_epochs: Annotated[int, Field(ge=0, le=100)] | None = None
    """Passes over the whole log in which the Transformer learns alone before it is mixed; 0 is none. Unset: by how much is
    bought again, and how much there is."""


class TrainingSpec(Spec):
    """How a version is trained."""

    surfaces: Annotated[list[Literal["Items", "Shops", "Search"]], Field(min_length=1, max_length=3)] = ["Items"]
    """What the model answers. Items is what to recommend; with Search the same model learns to answer queries in words from
    tables.searches or, without it, from queries made of the items' names; with Shops, which shop somebody goes to next, from
    purchases that name their shop. A model without Items is not built yet."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Same seed, same data, same version."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = 4
    """Passes over the training samples."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    """Step size of the optimiser."""

    adversarial_radius: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Trains against the worst small change of the items' embeddings, of this share of their length (fast gradient); 0 is
    none, more takes twice the time."""

    evaluation_days: Annotated[int, Field(ge=1, le=365)] | None = None
    """The last days of the data, held out to evaluate on. Unset: 14, or fewer or more by what the log holds."""

    training_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """The days before them, whose requests are learned from. History reaches back further. Unset: 42, or more by what the
    log holds."""

    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    """Machines that train together, which makes the same of the same data. More than 1 needs the Kubeflow Trainer, 2.1 or
    later, on the cluster, also where Kubeflow Pipelines runs the steps; a laptop trains alone."""

    task: TaskSpec = TaskSpec()
    """What kind of log it is; the report says what was seen."""

    resources: ResourcesSpec = ResourcesSpec()
    """What the pods of a run ask for."""

    placement: PlacementSpec = PlacementSpec()
    """Where the pods of a run go."""


class GateSpec(Spec):
    """What a version has to show before it serves."""

    rule: Literal["NotWorse", "Better", "Always"] = "NotWorse"
    """Compared with the version that serves. The first version must always be better than the best simple baseline,
    unless the rule is Always."""

    metric: Literal["ndcg@10", "recall@10", "hit@10"] = "ndcg@10"
    """What is compared."""

    margin: Annotated[float, Field(ge=0, le=1)] = 0.002
    """How much worse than the incumbent still counts as not worse."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of the one-sided bootstrap bound over users."""

    counterfactual: bool = False
    """Also compare with the version that serves on what shoppers did with its answers in the days of evaluation: needs
    serving.exploration, and its events compacted. Too few such answers, and the version does not serve."""

    max_age_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """A serving version older than this raises a condition."""


ORDERED = Rule(cel="self.min <= self.max", message="min must not exceed max")


class AutoscalingSpec(Spec):
    """Pods by load, with KEDA."""

    model_config = rules(ORDERED)

    min: Annotated[int, Field(ge=1, le=1000)] = 2
    """Fewest pods."""

    max: Annotated[int, Field(ge=1, le=1000)] = 10
    """Most pods."""

    @model_validator(mode="after")
    def _ordered(self) -> "AutoscalingSpec":
        if self.min > self.max:
            raise ValueError(ORDERED.message)
        return self


class CandidateStep(Spec):
    """One step of a candidate's way to all users."""

    percent: Annotated[int, Field(ge=1, le=99)]
    """Share of users."""

    minutes: Annotated[int, Field(ge=1, le=100_000)] = 60
    """How long the step lasts."""


class CandidateSpec(Spec):
    """How a new version meets its first shoppers."""

    percent: Annotated[int, Field(ge=1, le=99)] | None = None
    """Share of users that a new version serves first, until somebody promotes it. Unset: it replaces the old one at once."""

    shadow: bool = False
    """Score with the candidate too, and show only the stable version's answer."""

    steps: Annotated[list[CandidateStep], Field(max_length=20)] = []
    """Shares of users, one after another, in place of percent; after the last one it replaces the old one."""


REPLICAS_OR_AUTOSCALING = Rule(
    cel="!(has(self.replicas) && has(self.autoscaling))", message="replicas and autoscaling exclude each other"
)


class ServingSpec(Spec):
    """The predictor."""

    model_config = rules(REPLICAS_OR_AUTOSCALING)

    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Pods. Unset means 2, or 1 with an event log of type Sqlite, or what autoscaling says; not both."""

    autoscaling: AutoscalingSpec | None = None
    """Pods by load. Needs KEDA."""

    deadline_milliseconds: Annotated[int, Field(ge=1, le=60_000)] = 100
    """After this long the predictor answers with what it has."""

    candidate: CandidateSpec | None = None
    """How a new version meets its first shoppers. Unset: it replaces the old one at once."""

    pinned_version: Text | None = None
    """Serve this version whatever is trained later."""

    item_fields: Annotated[list[Text], Field(max_length=50)] = ["title"]
    """Columns of the items table that answers carry."""

    allowed_origins: Annotated[list[Origin], Field(max_length=50)] = []
    """Origins whose pages may ask from a browser (CORS), e.g. https://shop.example; "*" is every one. Empty: none."""

    access: AccessSpec | None = None
    """Who may ask, on a cluster; `shoploop serve --access` is told by a folder. Unset: everybody who reaches it."""

    admin_on_public_port: bool = False
    """Whether /metrics, /docs.json and /load are answered where shoppers ask, too, and not at the admin port alone."""

    list_rules: ListRulesSpec = ListRulesSpec()
    """What every list must be, whatever the model thinks."""

    exploration: ExplorationSpec | None = None
    """Lets two items of some answers change places, so that gate.counterfactual can judge other versions on what shoppers
    did. Unset: lists are as the model makes them."""

    @model_validator(mode="after")
    def _replicas_or_autoscaling(self) -> "ServingSpec":
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError(REPLICAS_OR_AUTOSCALING.message)
        return self


class ScheduleSpec(Spec):
    """When to run again, whatever changed."""

    cron: Annotated[str, Field(min_length=9, max_length=100, pattern=r"^\S+( +\S+){4}$")]
    """Five fields, as in crontab."""

    time_zone: Text = "UTC"
    """Zone of the fields, e.g. Europe/Berlin."""


class DataCheckSpec(Spec):
    """Looking now and then whether the data changed. A small pod does it: the operator never reads your data."""

    every_minutes: Annotated[int, Field(ge=1, le=10_080)] = 60
    """How often it looks. Of files it compares the bytes, of objects in a bucket ETag, size and time."""


class ImagesSpec(Spec):
    """Where the images of runs and predictors come from."""

    registry: Text | None = None
    """Replaces the registry of the images that the operator was installed with."""

    pull_secrets: Annotated[list[Text], Field(max_length=16)] = []
    """Names of Secrets that the registry asks for."""


class RetentionSpec(Spec):
    """How much of the past is kept."""

    runs: Annotated[int, Field(ge=1, le=1000)] = 20
    """Runs, newest first."""

    versions: Annotated[int, Field(ge=1, le=1000)] = 10
    """Versions, newest first; the one that serves and the pinned one are always kept."""

    online_days: Annotated[int, Field(ge=1, le=3650)] = 14
    """Days of online updates, and of events that the serving version was trained on: `shoploop events trim` forgets older
    ones."""


class LineageSpec(Spec):
    """Where it is told what every version came from. It is always kept beside the run."""

    endpoint: Url | None = None
    """Address of a server of OpenLineage's HTTP API, e.g. http://marquez:5000. Unset: what OPENLINEAGE_URL says, else
    nowhere."""


ONE_POD_LOG = Rule(
    cel="!((has(self.online.log) ? self.online.log.type == 'Sqlite' : self.online.enabled) && "
    "(has(self.serving.autoscaling) || (has(self.serving.replicas) && self.serving.replicas > 1)))",
    message="an online log of type Sqlite serves one pod: set serving.replicas to 1 without autoscaling, "
    "or use a log of type Redis or Kafka",
)


class RecommenderSpec(Spec):
    """From raw shop events to a served recommender that keeps learning."""

    model_config = rules(ONE_POD_LOG)

    store: StoreSpec = StoreSpec()
    """Where runs, versions and promotions are kept."""

    data: DataSpec
    """The events to learn from."""

    validation: ValidationSpec = ValidationSpec()
    """What to do about data that breaks an expectation."""

    features: FeaturesSpec = FeaturesSpec()
    """What is known about users, items and shops at any time."""

    augmentation: AugmentationSpec = AugmentationSpec()
    """Virtual behaviour for sparse users and items."""

    importance: ImportanceSpec = ImportanceSpec()
    """How much each training sample counts."""

    training: TrainingSpec = TrainingSpec()
    """How a version is trained."""

    gate: GateSpec = GateSpec()
    """What a version has to show before it serves."""

    serving: ServingSpec = ServingSpec()
    """The predictor."""

    online: OnlineSpec = OnlineSpec()
    """What shoppers do, between two runs: it is collected, and learned from."""

    runner: RunnerSpec = RunnerSpec()
    """What runs the steps on a cluster."""

    schedule: ScheduleSpec | None = None
    """When to run again, whatever changed. Unset: only when the spec or the data change, or somebody asks."""

    data_check: DataCheckSpec | None = None
    """How often to look, on a cluster, whether the data changed: where they did, it runs again. Unset: nobody looks."""

    signing: SigningSpec = SigningSpec()
    """Who signs what a run makes, and whose signatures are trusted."""

    images: ImagesSpec = ImagesSpec()
    """Where the images of runs and predictors come from."""

    lineage: LineageSpec = LineageSpec()
    """Where it is told what every version came from."""

    retention: RetentionSpec = RetentionSpec()
    """How much of the past is kept."""

    deletion_policy: Literal["Orphan", "Delete"] = "Orphan"
    """What becomes of the store when the object is deleted."""

    suspend: bool = False
    """Start no new run and promote no new version. What serves goes on serving."""

    @model_validator(mode="after")
    def _one_pod_log(self) -> "RecommenderSpec":
        many = self.serving.autoscaling is not None or (self.serving.replicas or 0) > 1
        log = self.online.log
        if (log.type == "Sqlite" if log else self.online.enabled) and many:
            raise ValueError(ONE_POD_LOG.message)
        return self


SHORT_NAME = Rule(
    cel=f"size(self.metadata.name) <= {NAME_LENGTH} && self.metadata.name.matches('{NAME_PATTERN}')",
    message=f"metadata.name must be 1 to {NAME_LENGTH} lower-case letters, digits and dashes, begin with a letter and "
    "not end with a dash: names of Jobs and Services are made from it",
)


class Recommender(Spec):
    """A shop's learning loop: from raw events to a served recommender."""

    model_config = rules(SHORT_NAME)

    api_version: Literal["shoploop.io/v1alpha1"] = API_VERSION
    kind: Literal["Recommender"] = "Recommender"
    metadata: Metadata = Metadata()
    spec: RecommenderSpec
    """What you want."""

    status: dict[str, Any] | None = None
    """What a cluster wrote back; a laptop ignores it."""
