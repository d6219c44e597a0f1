"""Training runs as Kubernetes Jobs: which parts, and which pods; pure. How they fare is in outcome.py.

Consecutive steps with equal resources share a Job. What a step writes reaches the next Job through the store.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from shoploop.api.online import EventLogSpec
from shoploop.api.places import relative_uris
from shoploop.api.pods import (
    CA_MOUNT,
    CA_VARIABLES,
    DATA_MOUNT,
    DEADLINE_SECONDS,
    container_security,
    image,
    needs_claim,
    pod_failure_policy,
    pod_security,
    queued,
    store_env,
    store_uri,
)
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.controller.decide import signing
from shoploop.controller.decide.names import (
    CHECK_COMPONENT,
    COMPACT_COMPONENT,
    COMPONENT_LABEL,
    DATA_LABEL,
    GC_COMPONENT,
    ONLINE_COMPONENT,
    PART_LABEL,
    RUN_COMPONENT,
    RUN_LABEL,
    SERVE_COMPONENT,
    SERVING_ANNOTATION,
    Object,
    child_metadata,
    run_object_name,
    short_hash,
    store_claim_name,
)
from shoploop.controller.decide.settings import Settings
from shoploop.runs import train_job
from shoploop.runs.kubeflow.placement import longest_seconds
from shoploop.runs.record import LAST_SHARED, RENEW
from shoploop.steps import STEPS, needed_by

SPEC_MOUNT = "/etc/shoploop"
TRAINING_SECTIONS = ("data", "validation", "features", "augmentation", "importance", "training", "gate")
PACKED_BY = ("item_fields",)
"""Fields of spec.serving that are packed into a Bento."""

NOT_TRAINED_BY = {"training": ("resources", "placement", "nodes")}
"""Fields of those sections that change where a run happens, but not what it makes."""

PLACED_BY: Any = {
    "training": {"resources", "placement", "nodes"},
    "runner": True,
    "images": True,
    "signing": True,
    "store": {"claim", "endpoint", "region", "secret_ref", "ca_ref"},
}
"""Fields of the spec that change a run's pods, but not what it makes."""

GRACE_SECONDS = 2
"""A step that is killed begins again, so its pod need not be asked for long."""

CANCEL_SECONDS = 60
"""For the pod that waits for a run on Kubeflow Pipelines: it has to ask for that run's end."""

TOKEN_MOUNT, TOKEN_AUDIENCE = "/var/run/shoploop", "pipelines.kubeflow.org"
"""Where that pod finds the token that it shows, and for whom the token is: Kubeflow Pipelines asks for that one."""

BACKOFF_LIMIT = 3
LOG_MOUNT, ACCESS_MOUNT = "/var/lib/shoploop-events", "/etc/shoploop/log"
"""Where a pod finds the file of a log, or what proves it to a server and the server to it."""

SMALL = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
"""What a pod asks for that computes nothing."""


def spec_hash(spec: RecommenderSpec) -> str:
    """Hash of the sections of the spec that decide what is trained; another hash is a reason for a run."""
    whole = spec.model_dump(mode="json", by_alias=True, include=set(TRAINING_SECTIONS))
    for section, fields in NOT_TRAINED_BY.items():
        for name in fields:
            whole[section].pop(name, None)
    whole["serving"] = spec.serving.model_dump(mode="json", by_alias=True, include=set(PACKED_BY))
    return short_hash(whole, digits=12)


def pack_hash(spec: RecommenderSpec) -> str:
    """Hash of the fields of the spec that are packed into a Bento."""
    return short_hash(spec.serving.model_dump(mode="json", by_alias=True, include=set(PACKED_BY)), digits=12)


def pod_hash(spec: RecommenderSpec) -> str:
    """Hash of the fields of the spec that decide what a run's pods look like: with another one, what is unfinished
    begins again in other pods."""
    return short_hash(spec.model_dump(mode="json", by_alias=True, include=PLACED_BY, exclude_defaults=True), digits=12)


def claim_name(recommender: Object, spec: RecommenderSpec) -> str | None:
    if not needs_claim(spec):
        return None
    return spec.store.claim or store_claim_name(recommender)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Consecutive steps that share a Job."""

    steps: tuple[str, ...]
    gpu: int
    """nvidia.com/gpu that each of its pods holds."""

    nodes: int = 1
    """Pods that carry its steps out together; more than one are a TrainJob's."""


def parts(spec: RecommenderSpec) -> list[Part]:
    """The run's steps, cut where the resources change; uncut where Kubeflow Pipelines carries them out."""
    if spec.runner.type == "KubeflowPipelines":
        return [Part(steps=tuple(STEPS), gpu=0)]
    cut: list[Part] = []
    for step in STEPS.values():
        gpu = spec.training.resources.gpu if step.gpu else 0
        nodes = train_job.machines(spec, step.name)
        if cut and (cut[-1].gpu, cut[-1].nodes) == (gpu, nodes):
            cut[-1] = replace(cut[-1], steps=(*cut[-1].steps, step.name))
        else:
            cut.append(Part(steps=(step.name,), gpu=gpu, nodes=nodes))
    return cut


def renewal_part() -> Part:
    """All that a renewal does, in one Job: it trains nothing, so it holds no GPU."""
    return Part(steps=(*needed_by(LAST_SHARED), RENEW, tuple(STEPS)[-1]), gpu=0)


def config_map(recommender: Object, run: str) -> Object:
    """The spec as the run reads it; it stays the same for the run's whole life."""
    serving = recommender.get("status", {}).get("version")
    metadata: Object = {"name": recommender["metadata"]["name"]}
    if serving:
        metadata["annotations"] = {SERVING_ANNOTATION: serving}
    document = {
        "apiVersion": recommender["apiVersion"],
        "kind": recommender["kind"],
        "metadata": metadata,
        "spec": recommender["spec"],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(recommender, run_object_name(recommender, run), {RUN_LABEL: run}),
        "data": {"recommender.json": json.dumps(document, sort_keys=True, indent=1)},
    }


def job(recommender: Object, spec: RecommenderSpec, run: str, index: int, settings: Settings) -> Object:
    """The Job of the run's part ``index``."""
    name = run_object_name(recommender, run, index)
    if spec.runner.type == "KubeflowPipelines":
        pod = hand_over_pod(recommender, spec, run, settings)
        made = job_around(recommender, name, pod, part_labels(run, index))
        # steps have limits of their own; what waits for all of them only has to end some time
        whole = Recommender.model_validate({"metadata": {"name": recommender["metadata"]["name"]}, "spec": spec})
        made["spec"]["activeDeadlineSeconds"] = DEADLINE_SECONDS + longest_seconds(whole)
        return made
    pod = part_pod(recommender, spec, run, index, settings)
    return queued(job_around(recommender, name, pod, part_labels(run, index)), spec)


def renewal_job(recommender: Object, spec: RecommenderSpec, run: str, settings: Settings) -> Object:
    """The one Job of a renewal, wherever runs are carried out."""
    pod = _pod_of_run(recommender, spec, run, settings, ["renew"])
    signing.equip(pod, spec, settings, publishes=True)
    ask(pod, spec, gpu=0)
    made = job_around(recommender, run_object_name(recommender, run, 0), pod, part_labels(run, 0))
    return queued(made, spec)


def hand_over_pod(recommender: Object, spec: RecommenderSpec, run: str, settings: Settings) -> Object:
    """The pod that hands a run over to Kubeflow Pipelines and waits for its end, with a run's store and Secret."""
    arguments = ["submit", "--spec", f"{SPEC_MOUNT}/recommender.json", "--run", run, "--store", store_uri(spec)]
    arguments += ["--token-file", f"{TOKEN_MOUNT}/token"]
    pod = pod_spec(recommender, spec, settings, ["-m", "shoploop.runs", *arguments])
    pod["terminationGracePeriodSeconds"] = CANCEL_SECONDS
    container = pod["containers"][0]
    container["volumeMounts"] += [
        {"name": "spec", "mountPath": SPEC_MOUNT, "readOnly": True},
        {"name": "token", "mountPath": TOKEN_MOUNT, "readOnly": True},
    ]
    token = {"serviceAccountToken": {"audience": TOKEN_AUDIENCE, "expirationSeconds": 3600, "path": "token"}}
    pod["volumes"] += [
        {"name": "spec", "configMap": {"name": run_object_name(recommender, run)}},
        {"name": "token", "projected": {"sources": [token]}},
    ]
    container["env"].append({"name": "SHOPLOOP_PIPELINE_IMAGE", "value": container["image"]})
    container["resources"] = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
    if spec.runner.service_account:
        pod["serviceAccountName"] = spec.runner.service_account
    return pod


def part_labels(run: str, index: int) -> dict[str, str]:
    """Of a run's part and its pods."""
    return {COMPONENT_LABEL: RUN_COMPONENT, RUN_LABEL: run, PART_LABEL: str(index)}


def part_pod(
    recommender: Object, spec: RecommenderSpec, run: str, index: int, settings: Settings, *, verb: str = "run"
) -> Object:
    """The pod, or one of the pods, of the run's part ``index``."""
    cut = parts(spec)
    part = cut[index]
    pod = _pod_of_run(recommender, spec, run, settings, [verb, "--steps", ",".join(part.steps)])
    signing.equip(pod, spec, settings, publishes=index == len(cut) - 1)
    ask(pod, spec, gpu=part.gpu)
    return pod


def _pod_of_run(
    recommender: Object, spec: RecommenderSpec, run: str, settings: Settings, words: Sequence[str]
) -> Object:
    """A pod with the run's spec and the data at hand, of which ``words`` are asked."""
    arguments = [*words, "--spec", f"{SPEC_MOUNT}/recommender.json", "--run", run]
    arguments += ["--store", store_uri(spec), *data_root(spec)]
    pod = pod_spec(recommender, spec, settings, ["-m", "shoploop.runs", *arguments])
    mount_data(pod, spec)
    container = pod["containers"][0]
    container["volumeMounts"].append({"name": "spec", "mountPath": SPEC_MOUNT, "readOnly": True})
    pod["volumes"].append({"name": "spec", "configMap": {"name": run_object_name(recommender, run)}})
    return pod


def ask(pod: Object, spec: RecommenderSpec, *, gpu: int) -> None:
    """Lets a pod ask for what the spec gives to a run's, and for so many GPUs."""
    asked = {"cpu": spec.training.resources.cpu, "memory": spec.training.resources.memory}
    container = pod["containers"][0]
    container["resources"] = {"requests": dict(asked), "limits": {"memory": asked["memory"]}}
    if gpu:
        container["resources"]["limits"]["nvidia.com/gpu"] = gpu
        pod["tolerations"].append({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"})


def cleanup_job(recommender: Object, spec: RecommenderSpec, settings: Settings) -> Object:
    """The Job that removes the recommender's part of the store."""
    name = recommender["metadata"]["name"]
    arguments = ["-m", "shoploop.controller.cleanup", "--store", store_uri(spec), "--recommender", name]
    pod = pod_spec(recommender, spec, settings, arguments)
    pod["containers"][0]["resources"] = SMALL
    made = job_around(recommender, cleanup_job_name(recommender), pod)
    made["spec"]["activeDeadlineSeconds"] = int(settings.deletion_seconds)
    return made


def check_job(recommender: Object, spec: RecommenderSpec, settings: Settings, name: str) -> Object:
    """The Job that tells what the data now are, by their digest. It has the eyes of a run: its store and its Secret."""
    data = spec.data.model_dump_json(by_alias=True, exclude_none=True)
    arguments = ["-m", "shoploop.runs", "source", "--data", data, *data_root(spec)]
    pod = pod_spec(recommender, spec, settings, arguments)
    mount_data(pod, spec)
    pod["containers"][0]["resources"] = SMALL
    labels = {COMPONENT_LABEL: CHECK_COMPONENT, DATA_LABEL: data_hash(spec)}
    made = job_around(recommender, name, pod, labels)
    made["spec"]["backoffLimit"] = 0  # the next look is its repetition
    return made


def gc_job(recommender: Object, spec: RecommenderSpec, settings: Settings, name: str, *, keep: Sequence[str]) -> Object:
    """The Job that removes stored versions beyond spec.retention.versions; those in ``keep`` stay."""
    arguments = ["-m", "shoploop.runs", "gc", "--recommender", recommender["metadata"]["name"]]
    arguments += ["--versions", str(spec.retention.versions), *(f"--keep={version}" for version in keep)]
    pod = pod_spec(recommender, spec, settings, [*arguments, "--store", store_uri(spec)])
    pod["containers"][0]["resources"] = SMALL
    return job_around(recommender, name, pod, {COMPONENT_LABEL: GC_COMPONENT})


def online_job(
    recommender: Object, spec: RecommenderSpec, settings: Settings, name: str, *, version: str, verb: str,
    commit: int | None, reason: str,
) -> Object:  # fmt: skip
    """The Job that writes what a person decided about online learning into the store. Its uid stands in the entry: a pod
    that was killed behind it is not followed by a second one."""
    arguments = [
        "-m",
        "shoploop.runs",
        "online",
        "--recommender",
        recommender["metadata"]["name"],
        "--version",
        version,
    ]
    arguments += ["--verb", verb, *(["--to", str(commit)] if commit is not None else []), f"--reason={reason}"]
    arguments += ["--by", "kubectl annotate, Job $(SHOPLOOP_JOB)", "--store", store_uri(spec)]
    pod = pod_spec(recommender, spec, settings, arguments)
    signing.equip(pod, spec, settings, publishes=True)  # what is decided is a commit, too
    _tell_job(pod)
    return job_around(recommender, name, pod, {COMPONENT_LABEL: ONLINE_COMPONENT})


def serve_job(
    recommender: Object, spec: RecommenderSpec, settings: Settings, name: str, arguments: Sequence[str], *, reason: str,
    by: str, annotations: Mapping[str, str],
) -> Object:  # fmt: skip
    """The Job that writes a decision about who serves into the store. Its uid stands in the entry, as that of
    :func:`online_job` does."""
    words = ["-m", "shoploop.runs", "serve", "--recommender", recommender["metadata"]["name"], *arguments]
    words += [f"--reason={reason}", "--by", f"{by}, Job $(SHOPLOOP_JOB)", "--store", store_uri(spec)]
    pod = pod_spec(recommender, spec, settings, words)
    signing.equip(pod, spec, settings, publishes=False)
    _tell_job(pod)
    made = job_around(recommender, name, pod, {COMPONENT_LABEL: SERVE_COMPONENT})
    if annotations:
        made["metadata"]["annotations"] = dict(annotations)
    return made


def compact_job(
    recommender: Object, spec: RecommenderSpec, settings: Settings, name: str, log: EventLogSpec
) -> Object:  # fmt: skip
    """The Job that makes interactions of what the log has collected. What reaches the log is not in its pod yet."""
    told = log.model_dump_json(by_alias=True, exclude_none=True)
    words = ["-m", "shoploop.runs", "compact", "--recommender", recommender["metadata"]["name"], f"--log={told}"]
    words += ["--log-folder", LOG_MOUNT, "--access", ACCESS_MOUNT, "--store", store_uri(spec)]
    pod = pod_spec(recommender, spec, settings, words)
    pod["containers"][0]["resources"] = {"requests": SMALL["requests"], "limits": {"memory": "2Gi"}}
    made = job_around(recommender, name, pod, {COMPONENT_LABEL: COMPACT_COMPONENT})
    made["spec"]["backoffLimit"] = 1  # the next turn is its repetition
    return made


def _tell_job(pod: Object) -> None:
    """Lets a pod know its Job's uid."""
    uid = {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/controller-uid']"}}
    pod["containers"][0]["env"].append({"name": "SHOPLOOP_JOB", "valueFrom": uid})
    pod["containers"][0]["resources"] = SMALL


def data_hash(spec: RecommenderSpec) -> str:
    return short_hash(spec.data.model_dump(mode="json", by_alias=True, exclude_none=True))


def cleanup_job_name(recommender: Object) -> str:
    return f"{recommender['metadata']['name']}-delete-{short_hash(recommender['metadata']['uid'])}"


def job_around(recommender: Object, name: str, pod: Object, labels: dict[str, str] | None = None) -> Object:
    """A Job for ``pod``, tried again unless a person has to mend something first."""
    metadata = child_metadata(recommender, name, labels)
    pod_labels = dict(metadata["labels"])
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": pod_failure_policy("steps"),
            "template": {"metadata": {"labels": pod_labels}, "spec": pod},
        },
    }


def pod_spec(recommender: Object, spec: RecommenderSpec, settings: Settings, arguments: Sequence[str]) -> Object:
    """A pod of the pipeline image under restricted Pod Security, with the store at hand."""
    placement = spec.training.placement
    mounts: list[Object] = [{"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {}}]
    claim = claim_name(recommender, spec)
    if claim:
        mounts.append({"name": "store", "mountPath": urlsplit(store_uri(spec)).path})
        volumes.append({"name": "store", "persistentVolumeClaim": {"claimName": claim}})
    env: list[Object] = [{"name": "HOME", "value": "/tmp"}, *store_env(spec)]
    if (authority := spec.store.ca_ref) is not None:
        env += [{"name": name, "value": f"{CA_MOUNT}/ca.crt"} for name in CA_VARIABLES]
        mounts.append({"name": "ca", "mountPath": CA_MOUNT, "readOnly": True})
        items = [{"key": authority.key, "path": "ca.crt"}]
        volumes.append({"name": "ca", "secret": {"secretName": authority.name, "items": items}})
    secrets = (*settings.pull_secrets, *spec.images.pull_secrets)
    pod: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "nodeSelector": dict(placement.node_selector),
        "tolerations": [entry.model_dump(by_alias=True, exclude_none=True) for entry in placement.tolerations],
        "imagePullSecrets": [{"name": name} for name in secrets],
        "containers": [
            {
                "name": "steps",
                "image": image(settings.pipeline_image, spec),
                "imagePullPolicy": settings.pull_policy,
                "args": ["python", *arguments],
                "env": env,
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": container_security(),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    if placement.priority_class_name:
        pod["priorityClassName"] = placement.priority_class_name
    return pod


def mount_data(pod: Object, spec: RecommenderSpec) -> None:
    """Puts the files of spec.data.claim at hand, to be read only."""
    if data_root(spec):
        mount = {"name": "data", "mountPath": DATA_MOUNT, "readOnly": True}
        pod["containers"][0]["volumeMounts"].append(mount)
        pod["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": spec.data.claim}})


def data_root(spec: RecommenderSpec) -> list[str]:
    """The argument that says where relative uris are counted from; none where nothing is."""
    return ["--data-root", DATA_MOUNT] if spec.data.claim and relative_uris(spec.data) else []


def claim(recommender: Object, spec: RecommenderSpec) -> Object:
    """The claim that keeps a folder's files. It has no owner: spec.deletionPolicy says what becomes of it."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": child_metadata(recommender, store_claim_name(recommender), owned=False),
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}}},
    }
