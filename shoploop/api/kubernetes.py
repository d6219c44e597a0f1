"""What a spec borrows from Kubernetes: references, resources and placement of pods."""

from typing import Annotated, Literal

from pydantic import Field

from shoploop.api.fields import Quantity, Spec, Text

STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""What the Secret of a store must hold."""


class SecretReference(Spec):
    """A Secret of the recommender's own namespace."""

    name: Text
    """Its name."""


class AuthorityReference(Spec):
    """The certificates of an authority, in a Secret of the recommender's own namespace."""

    name: Text
    """The Secret's name."""

    key: Text = "ca.crt"
    """The key in it: certificates in PEM."""


class ResourcesSpec(Spec):
    """What a training step may use, as Kubernetes quantities."""

    cpu: Quantity = "1"
    """Cores that a pod asks for, e.g. 2 or 500m; it may use more where the node has some to spare."""

    memory: Quantity = "6Gi"
    """Memory, e.g. 6Gi; a step that needs more is killed."""

    gpu: Annotated[int, Field(ge=0, le=64)] = 0
    """nvidia.com/gpu for the augmentation, importance and training steps; the other steps never hold one."""


class Toleration(Spec):
    """A taint of a node that the pods of a run accept."""

    key: Text | None = None
    """The taint's key; unset with operator Exists accepts every taint."""

    operator: Literal["Exists", "Equal"] = "Equal"
    """Equal compares the value too."""

    value: Annotated[str, Field(max_length=253)] | None = None
    """The taint's value, with Equal."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; unset accepts every effect."""

    toleration_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """Seconds that a pod may stay after a NoExecute taint appeared."""


class PlacementSpec(Spec):
    """Where on the cluster the pods of a run go."""

    queue: Text | None = None
    """Kueue LocalQueue. On Kubeflow Pipelines pods are queued one by one, for which Kueue's integration pod must be on."""

    node_selector: dict[str, str] = {}
    """Labels that a node must have."""

    tolerations: Annotated[list[Toleration], Field(max_length=32)] = []
    """Taints that the pods accept."""

    priority_class_name: Text | None = None
    """PriorityClass of the pods. Kubeflow Pipelines gives its own none: there it is for machines that train together, and is
    refused where training.nodes is 1."""
