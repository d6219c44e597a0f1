"""A task of Kubeflow's whose step several machines carry out: it makes a TrainJob, waits for its end, and holds no GPU.

The TrainJob's pods are those that the task would have been, with the task's image, store, claims and Secrets; its first
process does what the task would have done (:mod:`shoploop.runs.pod`), so that what is made is found where the task looks
for it. What is made on the cluster goes when the task ends, however it ends, and with the task's pod where that was killed.
"""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any

from shoploop.api.pods import container_security, pod_security
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound, ShoploopError
from shoploop.runs import train_job
from shoploop.runs.kubeflow.api_server import ApiRefused, ApiServer, ApiUnreachable
from shoploop.runs.kubeflow.placement import POD_UID_VARIABLE, POD_VARIABLE, TaskPod, worker_pod
from shoploop.runs.record import Record, read_record
from shoploop.store import Store, layout

POLL_SECONDS = 10.0
VERBS = "get,create,patch,delete"
"""What the task's service account must be allowed to do with runtimes and TrainJobs."""

Object = dict[str, Any]
Tell = Callable[[str], None]


class TrainerMissing(ShoploopError):
    """The cluster does not know TrainJobs or their runtimes."""

    exit_code = 2


class TrainerForbidden(ShoploopError):
    """The task's service account may not make them."""

    exit_code = 2


class TrainJobRefused(ShoploopError):
    """The Trainer, or a quota, takes no such TrainJob."""

    exit_code = 2


class TrainJobFailed(ShoploopError):
    """It ended badly, or somebody deleted it; the message is the failed step's own, where it has left one."""

    def __init__(self, message: str, exit_code: int = 1):
        super().__init__(message)
        self.exit_code = exit_code


def hand_over(
    recommender: Recommender,
    step: str,
    *,
    place: Mapping[str, Any],
    run: str,
    key: str,
    server: ApiServer | None = None,
    sleep: Callable[[float], None] = time.sleep,
    tell: Tell = lambda line: print(line, flush=True),
) -> None:
    """Has a step carried out by ``training.nodes`` machines, and waits for the end of it.

    Args:
        place: Where the run lies, as the plan says it.
        run: Its id.
        key: What the step was planned with.
        server: The cluster; unset: the one that this pod is in.

    Raises:
        TrainerMissing, TrainerForbidden, TrainJobRefused: a person has to change something first.
        TrainJobFailed: the step failed, or somebody deleted its TrainJob.
    """
    server = server or ApiServer.of_this_pod()
    runtime, job = objects(recommender, step, place=place, run=run, key=key)
    try:
        for made in (runtime, job):
            _patiently(partial(server.apply, made, train_job.KINDS[made["kind"]]), sleep, tell)
        tell(f"{step}: TrainJob {job['metadata']['name']}, {train_job.machines(recommender.spec, step)} machines")
        _wait(server, job, place=place, run=run, sleep=sleep, tell=tell)
    except ApiRefused as error:
        raise _named(error, recommender, server.namespace) from error
    finally:  # also where somebody ends the run
        for made in (job, runtime):
            _remove(server, made, tell)


def objects(
    recommender: Recommender, step: str, *, place: Mapping[str, Any], run: str, key: str
) -> tuple[Object, Object]:
    """The runtime and the TrainJob of a run's step, in the order in which they are made."""
    spec, task = recommender.spec, worker_pod(recommender, step)
    words = ["python", "-m", "shoploop.runs", "together", "--steps", step, "--place", json.dumps(place), "--run", run]
    pod = _pod(task, [*words, "--due", key])
    if spec.runner.service_account:
        pod["serviceAccountName"] = spec.runner.service_account
    if spec.training.placement.priority_class_name:
        pod["priorityClassName"] = spec.training.placement.priority_class_name
    if task.gpu:
        train_job.share_memory(pod)
    name = recommender.metadata.name
    metadata: Object = {
        # JobSet and Job make hostnames of it, which have 63 letters
        "name": f"{name}-{sha256(f'{name} {run} {step}'.encode()).hexdigest()[:8]}",
        "labels": {
            "app.kubernetes.io/managed-by": "shoploop-kubeflow",
            "app.kubernetes.io/part-of": "shoploop",
            "shoploop.io/recommender": name,
            "shoploop.io/run": run,
        },
    }
    if (own := os.environ.get(POD_VARIABLE)) and (uid := os.environ.get(POD_UID_VARIABLE)):
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": own, "uid": uid}]
    nodes, seconds = train_job.machines(spec, step), task.timeout_seconds
    return train_job.objects(spec, metadata, pod, nodes=nodes, processes=max(task.gpu, 1), seconds=seconds)


def _pod(task: TaskPod, words: list[str]) -> Object:
    env: list[Object] = [{"name": name, "value": value} for name, value in task.variables.items()]
    for secret, keys in task.secrets:
        env += [{"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}} for key in keys]
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Object] = [{"name": "tmp", "mountPath": "/tmp"}]
    for number, claim in enumerate(task.claims):
        volumes.append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim.name}})
        mounts.append({"name": f"claim-{number}", "mountPath": claim.path})
    for number, (secret, folder) in enumerate(task.secret_files):
        volumes.append({"name": f"secret-{number}", "secret": {"secretName": secret}})
        mounts.append({"name": f"secret-{number}", "mountPath": folder, "readOnly": True})
    resources: Object = {"requests": {"cpu": task.cpu, "memory": task.memory}, "limits": {"memory": task.memory}}
    if task.gpu:
        resources["limits"][task.accelerator] = task.gpu
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "nodeSelector": task.node_selector,
        "tolerations": [one.model_dump(by_alias=True, exclude_none=True) for one in task.tolerations],
        "imagePullSecrets": [{"name": name} for name in task.pull_secrets],
        "containers": [
            {
                "image": task.image,
                "args": words,
                "env": env,
                "resources": resources,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": container_security(),
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }


def _wait(
    server: ApiServer, job: Object, *, place: Mapping[str, Any], run: str, sleep: Callable[[float], None], tell: Tell
) -> None:
    name, said = job["metadata"]["name"], ""
    while True:
        live = _patiently(lambda: server.get(train_job.KINDS[job["kind"]], name), sleep, tell)
        if live is None:
            raise TrainJobFailed(f"Somebody has deleted TrainJob {name}, which this step waited for. Run again.")
        true = {one["type"]: one for one in live.get("status", {}).get("conditions", []) if one["status"] == "True"}
        if "Complete" in true:
            return
        if "Failed" in true:
            raise _failure(place, run, f"TrainJob {name} failed: {true['Failed'].get('message', '')}")
        state = "waits in its queue" if "Suspended" in true or live.get("spec", {}).get("suspend") else "is under way"
        if state != said:
            tell(f"TrainJob {name} {state}")
            said = state
        sleep(POLL_SECONDS)


def _failure(place: Mapping[str, Any], run: str, otherwise: str) -> TrainJobFailed:
    """What the step has said of itself in the run's record, where it came so far."""
    store = Store(place["store"]["uri"], options=place["store"].get("options") or {})
    try:
        record = read_record(store, layout.run(place["name"], run), run)
    except NotFound:
        return TrainJobFailed(otherwise)
    if isinstance(record, Record) and record.failure is not None:
        return TrainJobFailed(record.failure.message, record.failure.exit_code)
    return TrainJobFailed(otherwise)


def _patiently(ask: Callable[[], Any], sleep: Callable[[float], None], tell: Tell) -> Any:
    """The answer; a server that does not answer, or whose webhooks are not there yet, is asked until the task's deadline."""
    said = ""
    while True:
        try:
            return ask()
        except ApiUnreachable as error:
            if str(error) != said:
                tell(str(error))
                said = str(error)
            sleep(POLL_SECONDS)


def _remove(server: ApiServer, made: Object, tell: Tell) -> None:
    """That it cannot be removed must not hide how the step ended; it goes with this pod."""
    try:
        server.delete(train_job.KINDS[made["kind"]], made["metadata"]["name"])
    except (ApiRefused, ApiUnreachable) as error:
        tell(f"{made['kind']} {made['metadata']['name']} was not removed: {error}")


def _named(error: ApiRefused, recommender: Recommender, namespace: str) -> ShoploopError:
    if error.status == 404:
        return TrainerMissing(
            f"spec.training.nodes is above 1, and the cluster does not know {error.what}: the Kubeflow Trainer, 2.1 or "
            "later, is not installed. Install it (`shoploop doctor` says how), or set spec.training.nodes to 1."
        )
    if error.status == 403 and "quota" not in str(error):
        asked = re.search(r"system:serviceaccount:([^:\"]+):([^\"\s]+)", str(error))
        account = asked[2] if asked else recommender.spec.runner.service_account or "default"
        kinds = ",".join(f"{plural}.{train_job.GROUP}" for plural in train_job.KINDS.values())
        return TrainerForbidden(
            f"This task's service account {account} may not make {error.what}. Let it: kubectl -n {namespace} create role "
            f"shoploop-train --verb={VERBS} --resource={kinds} && kubectl -n {namespace} create rolebinding shoploop-train "
            f"--role=shoploop-train --serviceaccount={namespace}:{account}; or set spec.training.nodes to 1."
        )
    return TrainJobRefused(
        f"The cluster refuses {error.what}: {error} shoploop writes what the Kubeflow Trainer's versions 2.1 to 2.3 share: "
        "install one of them, make room, or set spec.training.nodes to 1."
    )
