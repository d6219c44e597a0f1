"""Custom resources of shoploop.io/v1alpha1, as users write them in YAML.

The docstrings become the CRD's descriptions: they are written for the person who edits YAML. Every default works on a
laptop. Nothing here reads a file or a cluster. The larger sections have files of their own, and are imported from here. What
the operator writes back is in status.py.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from shoploop.api.data import (
    CanonicalKind,
    DataSpec,
    ExpectationSpec,
    FeaturesSpec,
    ImageSource,
    InteractionsSource,
    ItemsSource,
    OnlineStoreSpec,
    TableSource,
    TablesSpec,
    ValidationSpec,
)
from shoploop.api.fields import (
    API_VERSION,
    GROUP,
    NAME_LENGTH,
    NAME_PATTERN,
    VERSION,
    Metadata,
    Name,
    Rule,
    Spec,
    Text,
    Url,
    rules,
    validations,
)
from shoploop.api.kubernetes import AuthorityReference, SecretReference
from shoploop.api.online import OnlineSpec
from shoploop.api.runner import RunnerSpec
from shoploop.api.serving import AutoscalingSpec, CandidateSpec, CandidateStep, ServingSpec
from shoploop.api.signing import SigningSpec
from shoploop.api.training import (
    AugmentationSpec,
    DifferentialPrivacySpec,
    GateSpec,
    ImportanceSpec,
    TaskSpec,
    TrainingSpec,
)

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "AugmentationSpec",
    "AutoscalingSpec",
    "CandidateSpec",
    "CandidateStep",
    "CanonicalKind",
    "DataSpec",
    "DifferentialPrivacySpec",
    "ExpectationSpec",
    "FeaturesSpec",
    "GateSpec",
    "ImageSource",
    "ImportanceSpec",
    "InteractionsSource",
    "ItemsSource",
    "Metadata",
    "Name",
    "OnlineStoreSpec",
    "Recommender",
    "RecommenderSpec",
    "ServingSpec",
    "Spec",
    "TableSource",
    "TablesSpec",
    "TaskSpec",
    "TrainingSpec",
    "ValidationSpec",
]


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


class ScheduleSpec(Spec):
    """When to do something again, whatever changed."""

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

    renewal: ScheduleSpec | None = None
    """When, on a cluster, to bring the version that serves up to date with what is known of users and items by then, without
    training. Unset: only when somebody asks by the annotation shoploop.io/renew."""

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
