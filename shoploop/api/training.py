"""How a Recommender learns: augmentation, weights, training, and the gate."""

from typing import Annotated, Literal

from pydantic import Field

from shoploop.api.fields import Spec
from shoploop.api.kubernetes import PlacementSpec, ResourcesSpec


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
    """Trains the generator with noise on every gradient, so that what it learned of any one user is bounded. With the
    environment variable SHOPLOOP_PSEUDONYM_KEY set, the same data get the same noise again, and other data other noise.
    Each training on other data is a release of its own, and what these spend of a user's privacy adds up."""


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

    in_shop: bool = False
    """Whether requests name the shop that the shopper is in, where purchases name theirs: what sells there is then known to
    the model. It answers those that name none as well."""


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
    """Machines that train together, the model and the generator of augmentation, which makes the same of the same data, to
    rounding. More than 1 needs the Kubeflow Trainer, 2.1 or later, on the cluster, also where Kubeflow Pipelines runs the
    steps; a laptop trains alone."""

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
    unless the rule is Always. Recommendations, search and the choice of shops are judged each for itself: one that passes
    lets the version serve, and a simple method answers in the place of the others. Where the version that serves recommends
    by its model, recommendations must pass."""

    metric: Literal["ndcg@10", "recall@10", "hit@10"] = "ndcg@10"
    """What is compared; of the choice of shops it is always hit@1."""

    margin: Annotated[float, Field(ge=0, le=1)] = 0.002
    """How much worse than the incumbent still counts as not worse."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of the one-sided bootstrap bound over users."""

    counterfactual: bool = False
    """Also compare with the version that serves on what shoppers did with its answers in the days of evaluation: needs
    serving.exploration, and its events compacted. Too few such answers, and the version does not serve."""

    max_age_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """A serving version older than this raises a condition."""
