"""What a run's pods are given on Kubeflow, step by step, from the spec; and what the spec may not ask for there. Pure."""

import json
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from shoploop import __version__
from shoploop.api.kubernetes import STORE_KEYS, Toleration
from shoploop.api.places import relative_uris
from shoploop.api.pods import CA_MOUNT, CA_VARIABLES, DATA_MOUNT, QUEUE_LABEL, image, needs_claim, store_uri
from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.errors import SpecInvalid, without_passwords
from shoploop.steps import STEPS
from shoploop.steps.parameters import arguments_of

PLAN, PUBLISH, END = "plan_run", "publish_version", "record_end"
"""Tasks around the steps."""

IMAGE_VARIABLE = "SHOPLOOP_PIPELINE_IMAGE"
IMAGE = os.environ.get(IMAGE_VARIABLE) or f"shoploop-pipeline:{__version__}"
"""Image of the steps where the spec names none. Its tag must change with the library: Kubeflow's cache looks at the tag."""

SIGNING_MOUNT = "/etc/shoploop/signing"
RUN_VARIABLE = "SHOPLOOP_KUBEFLOW_RUN"
"""In every pod: the id of the run as Kubeflow says it."""

POD_VARIABLE, POD_UID_VARIABLE = "SHOPLOOP_POD", "SHOPLOOP_POD_UID"
"""In a pod that hands its work over: its own name and uid."""

RUN_LABEL = "metadata.labels['pipeline/runid']"
FLOATING_TAGS = ("latest", "main", "master", "dev", "nightly")
SMALL_MEMORY = "1Gi"
"""For a task that loads no model."""

_IMAGE = re.compile(
    r"^(?P<name>[^@:\s]+(:\d+(?=/))?[^@:\s]*)(:(?P<tag>[\w][\w.-]{0,127}))?(@sha256:(?P<digest>[0-9a-f]{64}))?$"
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A PersistentVolumeClaim in a pod."""

    name: str
    path: str


@dataclass(frozen=True, kw_only=True)
class TaskPod:
    """What the pod of one task is given."""

    image: str
    cpu: str
    memory: str
    gpu: int
    accelerator: str
    timeout_seconds: int
    retries: int
    labels: dict[str, str]
    node_selector: dict[str, str]
    tolerations: tuple[Toleration, ...]
    claims: tuple[Claim, ...]
    variables: dict[str, str]
    """Of the environment; none of them is secret."""

    secrets: tuple[tuple[str, tuple[str, ...]], ...]
    """Secret and its keys, which become variables of the same names."""

    secret_files: tuple[tuple[str, str], ...]
    """Secret and the folder that its keys are files of."""

    pull_secrets: tuple[str, ...]
    cached: bool
    """Whether Kubeflow's own cache may stand in for it."""

    hands_over: bool = False
    """Whether others do its work, and it waits for them: it has to know who it is, for what it makes to go with it."""


def task_pods(recommender: Recommender) -> dict[str, TaskPod]:
    """The pod of every task: each step's, and those around them."""
    return {name: _task_pod(recommender, name) for name in (PLAN, *STEPS, PUBLISH, END)}


def worker_pod(recommender: Recommender, name: str) -> TaskPod:
    """Each of the pods that a step's task hands its work over to, where several machines carry it out."""
    return _task_pod(recommender, name, works=True)


def longest_seconds(recommender: Recommender) -> int:
    """How long the pods of a run may work at most, each as often as it is tried, none beside another."""
    return sum(pod.timeout_seconds * (1 + pod.retries) for pod in task_pods(recommender).values())


def hands_over(spec: RecommenderSpec, name: str) -> bool:
    """Whether the step's task is one that makes others carry it out; a parameter of the run may leave them nothing to do."""
    return name in STEPS and STEPS[name].together and spec.training.nodes > 1


def store_claim(recommender: Recommender) -> str | None:
    """The claim that a store which is a folder lies on; nobody makes it on Kubeflow. None for a store elsewhere."""
    spec = recommender.spec
    if not needs_claim(spec) or _on_volume(spec, urlsplit(store_uri(spec)).path):
        return None
    return spec.store.claim or f"{recommender.metadata.name}-store"


def _task_pod(recommender: Recommender, name: str, *, works: bool = False) -> TaskPod:
    spec = recommender.spec
    runner, training, own = spec.runner, spec.training, spec.runner.steps.get(name)
    step = STEPS.get(name)
    placed = training.placement
    tolerations = tuple(placed.tolerations)
    waits = hands_over(spec, name) and not works
    gpu = training.resources.gpu if step and step.gpu and not waits else 0
    if gpu:
        tolerations += (Toleration(key=runner.accelerator, operator="Exists", effect="NoSchedule"),)
    light = waits or name in (PLAN, END)
    cpu, memory = (own.cpu, own.memory) if own and not waits else (None, None)
    private = spec.signing.private_key if name == PUBLISH else None
    variables = {"HOME": "/tmp"}
    if spec.store.region:
        variables["AWS_REGION"] = spec.store.region
    if spec.store.endpoint:
        variables["AWS_ENDPOINT_URL"] = spec.store.endpoint
        if spec.store.endpoint.startswith("http://"):
            variables["AWS_ALLOW_HTTP"] = "true"
    # a Secret is mounted once: Kubeflow calls the volume by the Secret's name
    files: dict[str, str] = {}
    if private:
        variables["SHOPLOOP_SIGNING_KEY"] = f"{files.setdefault(private.name, SIGNING_MOUNT)}/{private.key}"
    if (authority := spec.store.ca_ref) is not None:
        file = f"{files.setdefault(authority.name, CA_MOUNT)}/{authority.key}"
        variables |= dict.fromkeys(CA_VARIABLES, file)
    stored = [(spec.store.secret_ref.name, STORE_KEYS)] if spec.store.secret_ref else []
    default = runner.image or IMAGE
    if waits:
        variables[IMAGE_VARIABLE] = default
    return TaskPod(
        image=image((own.image if own else None) or default, spec),
        cpu=cpu or ("100m" if light else training.resources.cpu),
        memory=memory or (SMALL_MEMORY if light else training.resources.memory),
        gpu=gpu,
        accelerator=runner.accelerator,
        timeout_seconds=60 * ((own.timeout_minutes if own else None) or runner.timeout_minutes),
        retries=runner.retries if own is None or own.retries is None else own.retries,
        # one that waits must not hold the room in the queue that it waits for, and a worker's TrainJob is queued as a whole
        labels={QUEUE_LABEL: placed.queue} if placed.queue and not waits and not works else {},
        node_selector=dict(placed.node_selector),
        tolerations=tolerations,
        claims=_claims(recommender),
        variables=variables,
        secrets=(*stored, *((one.name, tuple(one.keys)) for one in runner.secrets)),
        secret_files=tuple(files.items()),
        pull_secrets=tuple(spec.images.pull_secrets),
        cached=step is not None,
        hands_over=waits,
    )


def _claims(recommender: Recommender) -> tuple[Claim, ...]:
    spec = recommender.spec
    found = [Claim(name=one.claim, path=one.path) for one in spec.runner.volumes]
    if spec.data.claim and relative_uris(spec.data):
        found.append(Claim(name=spec.data.claim, path=DATA_MOUNT))
    if claim := store_claim(recommender):
        found.append(Claim(name=claim, path=urlsplit(store_uri(spec)).path))
    return tuple(found)


def check_submittable(recommender: Recommender) -> None:
    """Makes sure that pods of Kubeflow can do what the spec asks for: its nodes have none of this machine's files.

    Raises:
        SpecInvalid: they cannot; every reason is named.
    """
    spec = recommender.spec
    refuse_unbuilt(spec, place="Kubeflow")
    problems = [*_data_problems(spec), *_pod_problems(recommender)]
    if problems:
        raise SpecInvalid("\n".join([f"{recommender.metadata.name!r} cannot run on Kubeflow:", *problems]))


def _data_problems(spec: RecommenderSpec) -> list[str]:
    problems = []
    relative = relative_uris(spec.data)
    if relative and not spec.data.claim:
        for field, uri in relative.items():
            problems.append(
                f"  spec.{field} is {uri!r}, a path of this machine: copy it with `shoploop data push -f FILE --store "
                "s3://...` and name the s3:// that it prints, or name the claim that holds it in spec.data.claim"
            )
    tables = spec.data.tables or ()
    for name, table in tables:
        if table is None or f"data.tables.{name}.uri" in relative:
            continue
        scheme, separator, rest = table.uri.partition("://")
        path = rest if separator and scheme in ("file", "duckdb", "sqlite") else table.uri if not separator else None
        if path is not None and not _on_volume(spec, path.replace("//", "/")):
            problems.append(
                f"  spec.data.tables.{name}.uri is {table.uri!r}, which lies on no volume of the pods: name s3://..., or "
                "mount a claim there by spec.runner.volumes"
            )
    if _secrets_in(json.dumps(arguments_of(spec))):
        problems.append(
            "  a table's uri holds a password, and parameters are for everybody to read: take it out, and name the Secret "
            "that has it in spec.runner.secrets, e.g. PGPASSWORD"
        )
    return problems


def _pod_problems(recommender: Recommender) -> list[str]:
    spec, problems = recommender.spec, list[str]()
    problems += [f"  {problem}" for problem in unknown_steps(spec)]
    # machines that train together are pods of a TrainJob, not of Kubeflow Pipelines
    if (priority := spec.training.placement.priority_class_name) and spec.training.nodes == 1:
        problems.append(
            f"  spec.training.placement.priorityClassName is {priority!r}, and Kubeflow Pipelines gives its pods no "
            "PriorityClass: leave it out, and name a queue that keeps room for them in spec.training.placement.queue, or set "
            "spec.runner.type to Job"
        )
    for reference in sorted({pod.image for pod in task_pods(recommender).values()}):
        if why := unversioned(reference):
            problems.append(
                f"  an image of the steps is {reference!r}, {why}: Kubeflow's cache would take other code for the same. Name "
                "a tag that changes with the code, or a digest"
            )
    return problems


def unknown_steps(spec: RecommenderSpec) -> list[str]:
    """A sentence for each name in ``spec.runner.steps`` that no step has."""
    known = (PLAN, *STEPS, PUBLISH, END)
    return [
        f"spec.runner.steps names {name!r}; there are {', '.join(known)}"
        for name in spec.runner.steps
        if name not in known
    ]


def unversioned(reference: str) -> str | None:
    """What is amiss about an image's tag; None where it names one version."""
    found = _IMAGE.match(reference)
    if found is None:
        return "which is no image reference"
    if found["digest"]:
        return None
    if found["tag"] is None:
        return "without a tag"
    return f"whose tag {found['tag']!r} names no version" if found["tag"] in FLOATING_TAGS else None


def _on_volume(spec: RecommenderSpec, path: str) -> bool:
    return any(path == one.path or path.startswith(one.path.rstrip("/") + "/") for one in spec.runner.volumes)


def _secrets_in(text: str) -> bool:
    return without_passwords(text) != text
