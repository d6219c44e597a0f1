"""The kinds of objects that the operator watches, and what it may do to them: one table.

The watches, the paths of requests and the operator's roles (``make generate``) all come from here.
"""

from dataclasses import dataclass

from shoploop.api.fields import GROUP, VERSION
from shoploop.runs import train_job


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind as the API server names it."""

    group: str
    version: str
    kind: str
    plural: str

    optional: bool = False
    """Whether a cluster may lack it."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The request path of one object, or of all in a namespace or in the cluster."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


RECOMMENDER = Kind(group=GROUP, version=VERSION, kind="Recommender", plural="recommenders")
MODEL_VERSION = Kind(group=GROUP, version=VERSION, kind="ModelVersion", plural="modelversions")
JOB = Kind(group="batch", version="v1", kind="Job", plural="jobs")
CONFIG_MAP = Kind(group="", version="v1", kind="ConfigMap", plural="configmaps")
CLAIM = Kind(group="", version="v1", kind="PersistentVolumeClaim", plural="persistentvolumeclaims")
SECRET = Kind(group="", version="v1", kind="Secret", plural="secrets")
POD = Kind(group="", version="v1", kind="Pod", plural="pods")
EVENT = Kind(group="", version="v1", kind="Event", plural="events")
DEPLOYMENT = Kind(group="apps", version="v1", kind="Deployment", plural="deployments")

RELEASED = (
    DEPLOYMENT,
    Kind(group="apps", version="v1", kind="StatefulSet", plural="statefulsets"),
    Kind(group="", version="v1", kind="Service", plural="services"),
    Kind(group="", version="v1", kind="ServiceAccount", plural="serviceaccounts"),
    Kind(group="policy", version="v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets"),
    Kind(group="networking.k8s.io", version="v1", kind="NetworkPolicy", plural="networkpolicies"),
    Kind(group="networking.k8s.io", version="v1", kind="Ingress", plural="ingresses"),
    Kind(group="keda.sh", version="v1alpha1", kind="ScaledObject", plural="scaledobjects", optional=True),
    Kind(group="gateway.networking.k8s.io", version="v1", kind="HTTPRoute", plural="httproutes", optional=True),
    Kind(group="monitoring.coreos.com", version="v1", kind="ServiceMonitor", plural="servicemonitors", optional=True),
)
"""What charts/recommender may render."""

OWN = (MODEL_VERSION, JOB, CONFIG_MAP, CLAIM)
"""What the operator makes itself."""

TRAINING = tuple(
    Kind(group=train_job.GROUP, version=train_job.VERSION, kind=kind, plural=plural, optional=True)
    for kind, plural in train_job.KINDS.items()
)
"""What the operator makes for steps that several machines carry out together. They are asked for while such a run is under
way, and not watched: whoever installs the Kubeflow Trainer later need not start the operator again."""

WATCHED = (RECOMMENDER, *OWN, SECRET, *RELEASED)

BY_NAME = {(kind.api_version, kind.kind): kind for kind in (*WATCHED, *TRAINING, POD, EVENT)}


@dataclass(frozen=True, kw_only=True)
class Permission:
    """What the operator may do to some resources of one group, and why."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str


def _helm_may(group: str, *resources: str) -> Permission:
    return Permission(
        group=group,
        resources=resources,
        verbs=("get", "list", "watch", "create", "patch", "delete"),
        why="Helm installs, upgrades and removes what charts/recommender renders; the operator repairs it.",
    )


PERMISSIONS = (
    Permission(
        group=GROUP,
        resources=("recommenders",),
        verbs=("list", "watch", "patch"),
        why="Read what is wanted; hold the object until its children are gone (finalizer).",
    ),
    Permission(
        group=GROUP,
        resources=("recommenders/status", "modelversions/status"),
        verbs=("patch",),
        why="Tell what was observed.",
    ),
    Permission(
        group=GROUP,
        resources=("modelversions",),
        verbs=("get", "list", "watch", "create", "patch", "delete"),
        why="Record trained versions and remove those beyond spec.retention.",
    ),
    Permission(
        group="batch",
        resources=("jobs",),
        verbs=("get", "list", "watch", "create", "patch", "delete"),
        why="Run the steps of a training run.",
    ),
    Permission(
        group="",
        resources=("configmaps", "persistentvolumeclaims"),
        verbs=("get", "list", "watch", "create", "patch", "delete"),
        why="Hand a run its spec; keep a folder's files.",
    ),
    Permission(
        group="",
        resources=("pods",),
        verbs=("list",),
        why="Read a run's result, and why a pod does not start.",
    ),
    Permission(
        group="",
        resources=("events",),
        verbs=("create", "list"),
        why="Tell people what happened, and read why a Job could make no pod.",
    ),
    Permission(
        group="",
        resources=("secrets",),
        verbs=("get", "list", "watch", "create", "update", "delete"),
        why="Helm keeps releases in Secrets; see whether a store's Secret has the keys it needs.",
    ),
    Permission(
        group=train_job.GROUP,
        resources=("trainjobs", "trainingruntimes"),
        verbs=("get", "list", "create", "patch", "delete"),
        why="Let several machines train together, where spec.training.nodes asks for it.",
    ),
    Permission(
        group="",
        resources=("pods/log",),
        verbs=("get",),
        why="Tell how far a training on several machines is.",
    ),
    _helm_may("", "services", "serviceaccounts"),
    _helm_may("apps", "deployments", "statefulsets"),
    _helm_may("policy", "poddisruptionbudgets"),
    _helm_may("networking.k8s.io", "networkpolicies", "ingresses"),
    _helm_may("keda.sh", "scaledobjects"),
    _helm_may("gateway.networking.k8s.io", "httproutes"),
    _helm_may("monitoring.coreos.com", "servicemonitors"),
)
"""Everything that the operator may do, in each namespace that it serves; it needs nothing without a namespace."""


def selector(kind: Kind) -> str:
    """Which objects of a kind are watched, as a label selector: those of a Recommender, and Helm's notes about them."""
    if kind in (RECOMMENDER, MODEL_VERSION):
        return ""
    return f"owner=helm,{GROUP}/recommender" if kind is SECRET else f"{GROUP}/recommender"
