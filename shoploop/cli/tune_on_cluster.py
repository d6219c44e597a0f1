"""``shoploop tune --on cluster``: the search's trials as pods, by Katib where it is, else as a Job under the queue.

All that this machine needs is kubectl: samples, trials and their results lie in the store that the pods reach.
"""

import json
import shlex
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from rich.console import Console

from shoploop.api.places import relative_uris
from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.api.v1alpha1 import Recommender
from shoploop.cli import output
from shoploop.cli.kubectl import Kubectl
from shoploop.controller.decide import outcome, studies
from shoploop.errors import ShoploopError, SpecInvalid
from shoploop.runs.planning import RUN_ID, new_run
from shoploop.store import disk

POLL_SECONDS = 5.0
Found = dict[str, Any]


class StudyFailed(ShoploopError):
    """No trial of a study ended well, or what they came to is not known."""


@dataclass(frozen=True, kw_only=True)
class OnCluster:
    """What a person says of the cluster."""

    by: Literal["auto", "katib", "jobs"] = "auto"
    parallel: int = 2
    study: str | None = None
    """One that was begun; None begins another."""

    image: str | None = None
    resume_policy: studies.ResumePolicy = "Never"
    manifests: Path | None = None
    """Where the objects are written, instead of being handed to a cluster."""

    context: str | None = None
    namespace: str | None = None


def study_of(recommender: Recommender, asked: OnCluster, *, trials: int, seed: int) -> studies.Study:
    """What is to be made for a file as it stands: its relative paths are those of spec.data.claim.

    Raises:
        SpecInvalid: pods cannot do what it asks for, or cannot find its tables.
    """
    from shoploop.runs.kubeflow.placement import IMAGE
    from shoploop.tuning import katib
    from shoploop.tuning.settings import space

    spec = recommender.spec
    refuse_unbuilt(spec, place="Cluster")
    if spec.data.claim is None and (relative := relative_uris(spec.data)):
        field, uri = next(iter(relative.items()))
        raise SpecInvalid(
            f"spec.{field} is {uri!r}, a relative path, and no pod finds it: name the PersistentVolumeClaim that has it in "
            "spec.data.claim, or copy the tables into the store by `shoploop data push -f FILE`."
        )
    if asked.study is not None and not RUN_ID.fullmatch(asked.study):
        raise SpecInvalid(f"--study {asked.study} is none: its id was printed when it was begun.")
    return studies.Study(
        id=asked.study or new_run(recommender).id,
        recommender=recommender,
        image=asked.image or spec.runner.image or IMAGE,
        trials=trials,
        parallel=min(asked.parallel, trials),
        seed=seed,
        namespace=asked.namespace,
        resume_policy=asked.resume_policy,
        search={
            "parameters": katib.parameters(space(spec.training)),
            "objective": katib.objective(),
            "algorithm": katib.algorithm(seed),
            "earlyStopping": katib.early_stopping(),
        },
    )


def write_manifests(study: studies.Study, asked: OnCluster, console: Console) -> None:
    """For whoever hands it to the cluster; nobody is asked whether Katib is there."""
    assert asked.manifests is not None
    by: studies.By = "jobs" if asked.by == "jobs" else "katib"
    text = yaml.safe_dump_all(studies.objects(study, by=by), sort_keys=False)
    if str(asked.manifests) == "-":
        print(text, end="")
    else:
        disk.write_text(asked.manifests, text)
        console.print(f"Written   {asked.manifests}: study {study.id}, {study.trials} trials by {by}.")
        console.print(f"Gather    {again(study, asked, by=by)}")


def again(study: studies.Study, asked: OnCluster, *, by: studies.By) -> str:
    """The command that goes on with a study and gathers it, with all that its objects are made of."""
    words = ["--study", study.id, "--trials", str(study.trials), "--by", by]
    if study.seed:
        words += ["--seed", str(study.seed)]
    if asked.parallel != OnCluster.parallel:
        words += ["--parallel", str(asked.parallel)]
    if asked.resume_policy != OnCluster.resume_policy:
        words += ["--resume-policy", asked.resume_policy]
    for option, value in (("--image", asked.image), ("--context", asked.context), ("--namespace", asked.namespace)):
        words += [option, value] if value else []
    return f"shoploop tune -f FILE --on cluster {shlex.join(words)}"


def searched(
    study: studies.Study, asked: OnCluster, console: Console, *, timeout_seconds: float | None
) -> Found | None:
    """Sees to it that the trials are carried out, waits for them, and has them gathered; what they came to.

    Args:
        timeout_seconds: No longer than this; the trials go on without this machine.

    Returns:
        As :func:`shoploop.tuning.search.tune` does; None where the time is over.

    Raises:
        StudyFailed: no trial ended well, or they could not be gathered.
        ClusterUnavailable: the cluster did not answer, or refused.
    """
    kubectl = Kubectl(context=asked.context, namespace=asked.namespace)
    by = _by(kubectl, asked)
    until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    made = studies.objects(study, by=by)
    _apply(kubectl, made)
    console.print(f"Study     {study.id}: {study.trials} trials, {study.parallel} at once, by {by}")
    console.print(f"Remove    kubectl delete {_kinds(by)} -l {studies.STUDY_LABEL}={study.id}", style="dim")
    live = _ended(kubectl, made[-1], console, until)
    if live is None:
        _later(study, asked, by, console)
        return None
    trials = _names(live)
    if not trials:
        raise StudyFailed(f"No trial of study {study.id} ended well: {_why(kubectl, live)}")
    job = studies.conclusion_job(study, trials=trials)
    _apply(kubectl, [job])
    ended = _ended(kubectl, job, console, until)
    if ended is None:
        _later(study, asked, by, console)
        return None
    if outcome.state(ended) == "Failed":
        raise StudyFailed(f"The trials of study {study.id} could not be gathered: {_why(kubectl, ended)}")
    return _told(kubectl, job)


def _by(kubectl: Kubectl, asked: OnCluster) -> studies.By:
    if asked.by != "auto":
        return asked.by
    group = studies.EXPERIMENT[0].partition("/")[0]
    served = kubectl.run("api-resources", f"--api-group={group}", "-o", "name").split()
    return "katib" if studies.EXPERIMENT[2] in served else "jobs"


def _apply(kubectl: Kubectl, objects: Sequence[Found]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
        kubectl.run("apply", "--server-side", "--field-manager=shoploop-tune", "-f", str(file))


def _ended(kubectl: Kubectl, made: Found, console: Console, until: float | None) -> Found | None:
    """The object once it has ended; None where the time is over. How far it is, is told where that changes."""
    said = ""
    while True:
        live = kubectl.get(_resource(made), made["metadata"]["name"])
        if _has_ended(live):
            return live
        if (now := _how_far(kubectl, live)) != said:
            console.print(f"          {now}", style="dim")
            said = now
        if until is not None and time.monotonic() >= until:
            return None
        time.sleep(POLL_SECONDS)


def _has_ended(live: Found) -> bool:
    if live["kind"] == "Job":
        return outcome.state(live) != "Active"
    conditions = live.get("status", {}).get("conditions", [])
    return any(one["type"] in ("Succeeded", "Failed") and one["status"] == "True" for one in conditions)


def _how_far(kubectl: Kubectl, live: Found) -> str:
    status = live.get("status", {})
    if live["kind"] != "Job":
        done, runs = (
            status.get("trialsSucceeded", 0) + status.get("trialsEarlyStopped", 0),
            status.get("trialsRunning", 0),
        )
        return f"{done} of {live['spec']['maxTrialCount']} trials are done, {runs} under way"
    if live["spec"].get("suspend"):
        return "waits in its queue"
    pods = outcome.pods_of(
        live, kubectl.items("pods", "-l", f"batch.kubernetes.io/job-name={live['metadata']['name']}")
    )
    if trouble := outcome.trouble(pods):
        return trouble
    done, of = status.get("succeeded", 0), live["spec"].get("completions", 1)
    return f"{done} of {of} pods are done, {status.get('active', 0)} under way"


def _names(live: Found) -> list[str]:
    """Of the trials that ended well: names, or numbers and ranges of them."""
    status = live.get("status", {})
    if live["kind"] == "Job":
        return [name for name in status.get("completedIndexes", "").split(",") if name]
    return list(status.get("succeededTrialList", []))


def _why(kubectl: Kubectl, live: Found) -> str:
    if live["kind"] == "Job":
        name = live["metadata"]["name"]
        return outcome.failure_message(live, kubectl.items("pods", "-l", f"batch.kubernetes.io/job-name={name}"))
    conditions = live.get("status", {}).get("conditions", [])
    told = [one.get("message", "") for one in conditions if one["type"] == "Failed" and one["status"] == "True"]
    name = live["metadata"]["name"]
    return (
        f"{(told or ['its trials say why'])[-1]} Look at `kubectl get trials -l katib.kubeflow.org/experiment={name}`."
    )


def _told(kubectl: Kubectl, job: Found) -> Found:
    from shoploop.runs.studies import KIND

    log = kubectl.run("logs", "-l", f"batch.kubernetes.io/job-name={job['metadata']['name']}", "--tail=-1")
    for line in reversed(log.splitlines()):
        if line.startswith("{"):
            found: Found = json.loads(line)
            if found.pop("kind", None) == KIND:
                return found
    raise StudyFailed(f"The log of Job {job['metadata']['name']} has no line with what the trials came to.")


def _later(study: studies.Study, asked: OnCluster, by: studies.By, console: Console) -> None:
    console.print(f"The trials go on without this machine. Gather them by `{again(study, asked, by=by)}`.")


def _resource(made: Found) -> str:
    return "job" if made["kind"] == "Job" else studies.EXPERIMENT[2]


def _kinds(by: studies.By) -> str:
    return f"{studies.EXPERIMENT[2]},job,configmap" if by == "katib" else "job,configmap"


def chosen_output(json_: str | None, manifests: Path | None) -> Console:
    """The console that leaves stdout to whoever reads it."""
    return output.console(stderr=json_ == "-" or str(manifests) == "-")
