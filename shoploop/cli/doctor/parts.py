"""The parts of a cluster that only those Recommenders need which ask for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shoploop.api.unbuilt import is_built
from shoploop.cli.doctor.facts import Cluster
from shoploop.cli.doctor.finding import Finding

TRAINER = "https://github.com/kubeflow/trainer.git/manifests/overlays"
PIPELINES = "https://github.com/kubeflow/pipelines.git/manifests/kustomize/env/platform-agnostic"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One optional part."""

    about: str
    field: str
    """The field of the spec that asks for it."""

    asks: Callable[[Any], bool]
    """Whether a value of that field asks for it."""

    example: Any
    """A value that does."""

    why: str
    """The same in words."""

    there: Callable[[Cluster], str | None]
    """What is there of it; None where it is missing."""

    remedy: str
    """The command that installs it."""


def _gpus(cluster: Cluster) -> str | None:
    gpus = sum(int(node.get("status", {}).get("allocatable", {}).get("nvidia.com/gpu", 0)) for node in cluster.nodes)
    return f"{gpus} nvidia.com/gpu on {len(cluster.nodes)} nodes" if gpus else None


def _trainer(cluster: Cluster) -> str | None:
    if "trainjobs.trainer.kubeflow.org" not in cluster.definitions:
        return None
    runtimes = cluster.kubectl.items("clustertrainingruntimes.trainer.kubeflow.org")
    names = {runtime["metadata"]["name"] for runtime in runtimes}
    return "the runtime torch-distributed is there" if "torch-distributed" in names else None


def _kueue(cluster: Cluster) -> str | None:
    return "LocalQueues can be used" if "localqueues.kueue.x-k8s.io" in cluster.definitions else None


def _keda(cluster: Cluster) -> str | None:
    return "predictors can be scaled by load" if "scaledobjects.keda.sh" in cluster.definitions else None


def _pipelines(cluster: Cluster) -> str | None:
    found = [f"{namespace}/{name}" for namespace, name in cluster.services if name == "ml-pipeline"]
    return f"its API is the service {', '.join(found)}" if found else None


PARTS = (
    Part(
        about="GPU",
        field="training.resources.gpu",
        asks=lambda gpus: gpus > 0,
        example=1,
        why="training.resources.gpu above 0",
        there=_gpus,
        remedy="helm install nvidia-device-plugin nvdp/nvidia-device-plugin -n kube-system",
    ),
    Part(
        about="Kubeflow Trainer",
        field="training.nodes",
        asks=lambda nodes: nodes > 1,
        example=2,
        why="training.nodes above 1",
        there=_trainer,
        remedy=f"kubectl apply --server-side -k '{TRAINER}/manager?ref=v2.1.0' && "
        f"kubectl apply --server-side -k '{TRAINER}/runtimes?ref=v2.1.0'",
    ),
    Part(
        about="Kueue",
        field="training.placement.queue",
        asks=bool,
        example="team",
        why="training.placement.queue",
        there=_kueue,
        remedy="helm install kueue oci://registry.k8s.io/kueue/charts/kueue -n kueue-system --create-namespace",
    ),
    Part(
        about="KEDA",
        field="serving.autoscaling",
        asks=bool,
        example={"min": 1, "max": 3},
        why="serving.autoscaling",
        there=_keda,
        remedy="helm install keda kedacore/keda -n keda --create-namespace",
    ),
    Part(
        about="Kubeflow Pipelines",
        field="runner.type",
        asks=lambda runner: runner == "KubeflowPipelines",
        example="KubeflowPipelines",
        why="runner.type KubeflowPipelines",
        there=_pipelines,
        remedy=f"kubectl apply -k '{PIPELINES}'   # or set runner.type: Job",
    ),
)


def check_parts(cluster: Cluster) -> Iterator[Finding]:
    """Each optional part; one that only an unbuilt field would need is not advised, as it would be of no use."""
    for part in PARTS:
        wanted_by = [name for name, value in cluster.wanting(part.field) if part.asks(value)]
        if there := part.there(cluster):
            yield Finding(about=part.about, state="ok", detail=there)
        elif not is_built(part.field, part.example, place="Cluster"):
            yield Finding(about=part.about, state="unused", detail=f"not there; {part.why} is not built yet")
        elif wanted_by:
            detail = f"{', '.join(wanted_by)} need it: {part.why}"
            yield Finding(about=part.about, state="missing", detail=detail, remedy=part.remedy)
        else:
            detail = f"not there; {part.why} needs it"
            yield Finding(about=part.about, state="unused", detail=detail, remedy=part.remedy)
