"""Custom resources of shoploop.io/v1alpha1, as users write them in YAML.

The docstrings become the CRD's descriptions: they are written for the person who edits YAML. Every default works on a
laptop. Nothing here reads a file or a cluster.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

GROUP, VERSION = "shoploop.io", "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Spec(BaseModel):
    """snake_case in Python, camelCase in YAML; a misspelt field is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class SecretReference(Spec):
    """A Secret of the recommender's own namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]


class StoreSpec(Spec):
    """Where runs, versions and promotions are kept."""

    uri: Annotated[str, Field(min_length=1)] = ".shoploop"
    """A folder, or file://, s3://, gs:// or az:// with a bucket and a prefix. On a cluster a file:// store is a
    ReadWriteMany claim."""

    endpoint: str | None = None
    """Address of an S3 that is not Amazon's, e.g. http://seaweedfs:8333."""

    region: str | None = None

    secret_ref: SecretReference | None = None
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. On a laptop the environment's own variables are used."""


class TableSource(Spec):
    """One table of your own."""

    uri: Annotated[str, Field(min_length=1)]
    """A CSV or Parquet file, or a pattern of several, e.g. s3://lake/events/*.parquet."""

    columns: dict[str, str | list[str]] = {}
    """Canonical column to the name it has in your file, e.g. {user: customer_id}. A list builds the category path, widest
    first. A canonical column that is not named here is looked for under its own name."""

    time_zone: str = "UTC"
    """Zone of times that carry none, e.g. Europe/Berlin."""

    time_format: str | None = None
    """strptime pattern of times that are not ISO 8601, or one of unix-seconds, unix-milliseconds."""


class TablesSpec(Spec):
    """Your own tables. Interactions are enough to begin with."""

    interactions: TableSource
    """Who did what with which item, and when: user, item, time, and optionally kind, quantity, price, shop, basket."""

    items: TableSource | None = None
    """item, and optionally title, category, brand, price, image."""

    users: TableSource | None = None
    """user, and any further columns as attributes."""

    shops: TableSource | None = None
    """shop, title, and any further columns as attributes."""


class DataSpec(Spec):
    """The events to learn from: a known dataset or your own tables."""

    dataset: str | None = None
    """Name of a dataset that shoploop knows, e.g. completejourney."""

    tables: TablesSpec | None = None

    feedback: bool = True
    """Also learn from what this recommender's own event log collected."""

    @model_validator(mode="after")
    def _one_source(self) -> "DataSpec":
        if (self.dataset is None) == (self.tables is None):
            raise ValueError("name exactly one of dataset and tables")
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
    type: Literal["Sqlite", "Redis"] = "Sqlite"
    """Sqlite is a file for one pod; Redis serves many."""

    connection: str | None = None
    """host:port of Redis."""


class FeaturesSpec(Spec):
    online_store: OnlineStoreSpec = OnlineStoreSpec()


class AugmentationSpec(Spec):
    """Virtual behaviour for sparse users and items."""

    mode: Literal["Auto", "Never", "Always"] = "Never"
    """Auto lets only those rows into training that pass privacy and are shown to pay."""


class ImportanceSpec(Spec):
    """How much each training sample counts."""

    estimator: Literal["None", "GanAttention"] = "None"
    """None counts every sample alike."""


class ResourcesSpec(Spec):
    """What a training step may use, as Kubernetes quantities."""

    cpu: str = "2"
    memory: str = "6Gi"
    gpu: Annotated[int, Field(ge=0, le=64)] = 0
    """nvidia.com/gpu for the augmentation, importance and training steps; the other steps never hold one."""


class PlacementSpec(Spec):
    """Where on the cluster the pods of a run go."""

    queue: str | None = None
    """Kueue LocalQueue."""

    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    priority_class_name: str | None = None


class TrainingSpec(Spec):
    """How a version is trained."""

    surfaces: list[Literal["Items", "Shops", "Search"]] = ["Items"]
    """What is recommended. Shops and Search are not built yet."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    epochs: Annotated[int, Field(ge=1, le=1000)] = 4
    """Passes over the training samples."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    evaluation_days: Annotated[int, Field(ge=1, le=365)] = 14
    """The last days of the data, held out to evaluate on."""

    training_days: Annotated[int, Field(ge=1, le=3650)] = 42
    """The days before them, whose requests are learned from. History reaches back further."""

    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    """More than 1 makes a Kubeflow TrainJob."""

    resources: ResourcesSpec = ResourcesSpec()
    placement: PlacementSpec = PlacementSpec()


class GateSpec(Spec):
    """What a version has to show before it serves."""

    rule: Literal["NotWorse", "Better", "Always"] = "NotWorse"
    """Compared with the version that serves. The first version must always be better than the best simple baseline, unless
    the rule is Always."""

    metric: Literal["ndcg@10", "recall@10", "hit@10"] = "ndcg@10"
    margin: Annotated[float, Field(ge=0, le=1)] = 0.002
    """How much worse than the incumbent still counts as not worse."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of the one-sided bootstrap bound over users."""

    counterfactual: bool = False
    max_age_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """A serving version older than this raises a condition."""


class AutoscalingSpec(Spec):
    min: Annotated[int, Field(ge=0, le=1000)] = 2
    max: Annotated[int, Field(ge=1, le=1000)] = 10

    @model_validator(mode="after")
    def _ordered(self) -> "AutoscalingSpec":
        if self.min > self.max:
            raise ValueError("min must not exceed max")
        return self


class CandidateStep(Spec):
    percent: Annotated[int, Field(ge=1, le=99)]
    minutes: Annotated[int, Field(ge=1, le=100_000)] = 60


class CandidateSpec(Spec):
    """How a new version meets its first shoppers."""

    percent: Annotated[int, Field(ge=1, le=99)] | None = None
    """Share of users that a new version serves first. Unset: it replaces the old one at once."""

    shadow: bool = False
    """Score with the candidate too, and show only the stable version's answer."""

    steps: list[CandidateStep] = []


class ServingSpec(Spec):
    """The predictor."""

    replicas: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Pods. Unset means 2, or what autoscaling says; not both."""

    autoscaling: AutoscalingSpec | None = None
    deadline_milliseconds: Annotated[int, Field(ge=1, le=60_000)] = 100
    """After this long the predictor answers with what it has."""

    candidate: CandidateSpec | None = None
    pinned_version: str | None = None
    """Serve this version whatever is trained later."""

    item_fields: list[str] = ["title"]
    """Columns of the items table that answers carry."""

    @model_validator(mode="after")
    def _replicas_or_autoscaling(self) -> "ServingSpec":
        if self.replicas is not None and self.autoscaling is not None:
            raise ValueError("replicas and autoscaling exclude each other")
        return self


class EventLogSpec(Spec):
    type: Literal["Sqlite", "Redis", "Kafka"] = "Sqlite"
    """Sqlite is for one pod; Redis and Kafka serve many."""

    connection: str | None = None


class OnlineSpec(Spec):
    """Learning from what shoppers do, between two runs."""

    enabled: bool = False
    log: EventLogSpec = EventLogSpec()
    publish_period_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 1
    """How often updated weights are offered to the predictors."""


class RunnerSpec(Spec):
    type: Literal["Job", "KubeflowPipelines"] = "Job"
    """What runs the steps on a cluster. A laptop needs none."""

    endpoint: str | None = None
    """Address of the Kubeflow Pipelines API."""


class ScheduleSpec(Spec):
    cron: Annotated[str, Field(min_length=9)]
    """Five fields, as in crontab."""

    time_zone: str = "UTC"


class ImagesSpec(Spec):
    registry: str | None = None
    pull_secrets: list[str] = []


class RetentionSpec(Spec):
    runs: Annotated[int, Field(ge=1)] = 20
    versions: Annotated[int, Field(ge=1)] = 10
    online_days: Annotated[int, Field(ge=1)] = 14


class RecommenderSpec(Spec):
    """From raw shop events to a served recommender that keeps learning."""

    store: StoreSpec = StoreSpec()
    data: DataSpec
    validation: ValidationSpec = ValidationSpec()
    features: FeaturesSpec = FeaturesSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    importance: ImportanceSpec = ImportanceSpec()
    training: TrainingSpec = TrainingSpec()
    gate: GateSpec = GateSpec()
    serving: ServingSpec = ServingSpec()
    online: OnlineSpec = OnlineSpec()
    runner: RunnerSpec = RunnerSpec()
    schedule: ScheduleSpec | None = None
    images: ImagesSpec = ImagesSpec()
    retention: RetentionSpec = RetentionSpec()
    deletion_policy: Literal["Orphan", "Delete"] = "Orphan"
    """What becomes of the store when the object is deleted."""

    suspend: bool = False


class Metadata(BaseModel):
    """Of Kubernetes' own fields only the name matters here."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name = "recommender"


class Recommender(Spec):
    api_version: Literal["shoploop.io/v1alpha1"] = API_VERSION
    kind: Literal["Recommender"] = "Recommender"
    metadata: Metadata = Metadata()
    spec: RecommenderSpec
