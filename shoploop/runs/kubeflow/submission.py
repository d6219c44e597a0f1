"""What is made on a server so that a run begins there: a pipeline's version, an experiment, the run; each once.

A version is named by the digest of what its text says, a run by our own id. So whoever asks again, because an answer got lost
or a process ended in between, finds what is there.
"""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeVar

import yaml

from shoploop.errors import SpecInvalid
from shoploop.runs.kubeflow.answers import Experiment, KubeflowRun, PipelineVersion, RecurringRun
from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.kubeflow.errors import KubeflowConflict, KubeflowError

DIGEST_LETTERS = 16

Made = TypeVar("Made")


def version_name(compiled: str) -> str:
    """The name of the version that this text is.

    By its documents and not by its letters: KFP's compiler writes defaults into a comment in another order each time.
    """
    documents = list(yaml.safe_load_all(compiled))
    said = json.dumps(documents, sort_keys=True, default=str)
    return f"sha256-{sha256(said.encode()).hexdigest()[:DIGEST_LETTERS]}"


def publish(
    client: KubeflowClient, pipeline: str, compiled: str, *, description: str = "", namespace: str = ""
) -> PipelineVersion:
    """The version of a pipeline that this text is, uploaded where it is not there yet.

    Args:
        pipeline: Its name.
        compiled: The pipeline as KFP's compiler wrote it.
    """
    # its first version has the pipeline's name, and so does not say what it is
    known = _once(
        lambda: client.pipeline_named(pipeline, namespace),
        lambda: client.upload_pipeline(pipeline, compiled, description=description, namespace=namespace),
    )
    name, id = version_name(compiled), known.pipeline_id
    return _once(
        lambda: next((one for one in client.versions(id) if one.display_name == name), None),
        lambda: client.upload_version(id, name, compiled, description=description),
    )


def experiment_of(client: KubeflowClient, name: str, namespace: str = "") -> Experiment:
    """The experiment of a name, made where there is none."""
    return _once(lambda: client.experiment_named(name, namespace), lambda: client.create_experiment(name, namespace))


def _once(find: Callable[[], Made | None], make: Callable[[], Made]) -> Made:
    """What is there already, or is made now; what somebody else made meanwhile, or an answer got lost of, is found."""
    if (there := find()) is not None:
        return there
    try:
        return make()
    except KubeflowError as error:
        if not isinstance(error, KubeflowConflict) and not error.perhaps_done:
            raise
        if (there := find()) is not None:
            return there
        raise


def begin(
    client: KubeflowClient,
    version: PipelineVersion,
    experiment: Experiment,
    *,
    name: str,
    parameters: Mapping[str, Any],
    description: str = "",
    service_account: str | None = None,
) -> KubeflowRun:
    """Begins a run; one whose answer got lost is found by its name.

    Args:
        name: Nobody else's in that experiment.
    """
    body = _body(version, experiment, name, parameters, service_account)
    if description:
        body["description"] = description
    try:
        return client.create_run(body)
    except KubeflowError as error:
        if not error.perhaps_done:
            raise
        if found := find(client, experiment, name):
            return found
        raise


def find(client: KubeflowClient, experiment: Experiment, name: str) -> KubeflowRun | None:
    """The newest run of a name in an experiment."""
    return next((run for run in client.runs(experiment.experiment_id) if run.display_name == name), None)


def recur(
    client: KubeflowClient,
    version: PipelineVersion,
    experiment: Experiment,
    *,
    name: str,
    parameters: Mapping[str, Any],
    cron: str,
    service_account: str | None = None,
) -> RecurringRun:
    """Lets runs begin by a clock; what recurred under that name before is replaced once the new one is there.

    Args:
        cron: Five fields, as in crontab; the server's clock counts, and one run at a time.
    """
    if len(fields := cron.split()) != 5:
        raise SpecInvalid(f"{cron!r} has {len(fields)} fields; a schedule has five, as in crontab, e.g. '0 3 * * *'.")
    before = [one for one in client.recurrings(experiment.experiment_id) if one.display_name == name]
    body = _body(version, experiment, name, parameters, service_account) | {
        "trigger": {"cron_schedule": {"cron": f"0 {cron}"}},  # the server's cron begins with seconds
        "max_concurrency": "1",
        "mode": "ENABLE",
        "no_catchup": True,
    }
    try:
        made = client.create_recurring(body)
    except KubeflowError as error:
        if not error.perhaps_done:
            raise
        known = {one.recurring_run_id for one in before}
        now = client.recurrings(experiment.experiment_id)
        found = next((one for one in now if one.display_name == name and one.recurring_run_id not in known), None)
        if found is None:
            raise
        made = found
    for old in before:
        client.delete_recurring(old.recurring_run_id)
    return made


def _body(
    version: PipelineVersion,
    experiment: Experiment,
    name: str,
    parameters: Mapping[str, Any],
    service_account: str | None,
) -> dict[str, Any]:
    reference = {"pipeline_id": version.pipeline_id, "pipeline_version_id": version.pipeline_version_id}
    body = {
        "display_name": name,
        "experiment_id": experiment.experiment_id,
        "pipeline_version_reference": reference,
        "runtime_config": {"parameters": dict(parameters)},
    }
    return body | ({"service_account": service_account} if service_account else {})
