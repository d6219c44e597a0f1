"""What runs the steps of a run on a cluster, and what Kubeflow Pipelines gives to their pods."""

from typing import Annotated, Literal

from pydantic import Field

from shoploop.api.fields import Quantity, Spec, Text, Url

PATH_PATTERN = r"^/[^:]*$"


class StepPodSpec(Spec):
    """What the pod of one step is given, where that differs from the others'."""

    image: Text | None = None
    """Image with a versioned tag or a digest, with the same code as the others': a step refuses to go on from another's."""

    cpu: Quantity | None = None
    """Cores, in the place of training.resources.cpu."""

    memory: Quantity | None = None
    """Memory, in the place of training.resources.memory."""

    timeout_minutes: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """In the place of runner.timeoutMinutes."""

    retries: Annotated[int, Field(ge=0, le=100)] | None = None
    """In the place of runner.retries."""


class VolumeSpec(Spec):
    """A PersistentVolumeClaim that every pod of a run finds mounted."""

    claim: Text
    """Its name, in the namespace of the run."""

    path: Annotated[str, Field(min_length=2, max_length=253, pattern=PATH_PATTERN)]
    """Where its files lie in a pod."""


class SecretVariables(Spec):
    """A Secret whose keys every pod of a run finds as environment variables, e.g. PGPASSWORD for a database."""

    name: Text
    """The Secret's name."""

    keys: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]], Field(min_length=1, max_length=50)
    ]
    """Its keys, which are the variables' names, too."""


class RunnerSpec(Spec):
    """What runs the steps on a cluster. A laptop needs none; all but type is for Kubeflow Pipelines."""

    type: Literal["Job", "KubeflowPipelines"] = "Job"
    """Job runs the steps as Kubernetes Jobs. KubeflowPipelines hands a run over to the server at endpoint, by a pod that
    waits for its end; `shoploop submit` does it without an operator."""

    endpoint: Url | None = None
    """Address of the Kubeflow Pipelines API, e.g. http://ml-pipeline.kubeflow:8888."""

    namespace: Text | None = None
    """The profile's namespace, where Kubeflow has several users."""

    experiment: Text | None = None
    """Experiment that runs are in. Unset: the recommender's name."""

    service_account: Text | None = None
    """Service account of a run's pods. Unset: the server's own choice."""

    image: Text | None = None
    """Image of the steps, with a versioned tag or a digest. Unset: shoploop-pipeline of this release."""

    accelerator: Text = "nvidia.com/gpu"
    """Kind of device that training.resources.gpu counts."""

    timeout_minutes: Annotated[int, Field(ge=1, le=100_000)] = 1440
    """After this long a step is ended."""

    retries: Annotated[int, Field(ge=0, le=100)] = 1
    """How often a step that failed is tried again."""

    steps: dict[str, StepPodSpec] = {}
    """What single steps' pods are given, by the step's name, e.g. {train_fused: {memory: 16Gi}}."""

    volumes: Annotated[list[VolumeSpec], Field(max_length=20)] = []
    """Claims that every pod finds mounted, beside spec.data.claim and spec.store.claim."""

    secrets: Annotated[list[SecretVariables], Field(max_length=20)] = []
    """Secrets that every pod finds as environment variables, beside spec.store.secretRef. They are never parameters."""
