"""``shoploop submit`` and ``shoploop kubeflow``: runs on a server of Kubeflow Pipelines."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from shoploop.cli import output
from shoploop.errors import SpecInvalid, StoreError

if TYPE_CHECKING:
    from shoploop.api.v1alpha1 import Recommender
    from shoploop.runs import Run
    from shoploop.runs.kubeflow.client import KubeflowClient
    from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines
    from shoploop.store import Store

ENDPOINT_VARIABLE = "SHOPLOOP_KUBEFLOW"
FOLLOW_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """How a person names the server, and what of the file is to be otherwise."""

    endpoint: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    namespace: str | None = None
    experiment: str | None = None
    image: str | None = None

    def client(self, recommender: "Recommender") -> "KubeflowClient":
        from shoploop.runs.kubeflow.client import KubeflowClient

        endpoint = self.endpoint or recommender.spec.runner.endpoint or os.environ.get(ENDPOINT_VARIABLE)
        if not endpoint:
            raise SpecInvalid(
                f"Which server? Name it by --endpoint, spec.runner.endpoint or {ENDPOINT_VARIABLE}, e.g. "
                "http://ml-pipeline.kubeflow:8888; --dry-run does without one."
            )
        return KubeflowClient(endpoint, token_file=self.token_file, authority=self.ca_file)

    def recommender(self, file: Path) -> "Recommender":
        from shoploop.api import load

        found = load(file)
        named = {"namespace": self.namespace, "experiment": self.experiment, "image": self.image}
        named = {name: value for name, value in named.items() if value}
        runner = found.spec.runner.model_copy(update=named)
        return found.model_copy(update={"spec": found.spec.model_copy(update={"runner": runner})})


def submit(
    file: Path,
    server: Server,
    *,
    dry_run: bool,
    out: Path | None,
    preset: str,
    recurring: bool,
    promote: bool,
    wait: bool,
    store_override: str | None,
) -> None:
    """Hands a run over to the server, or says what would be handed over."""
    from shoploop.runs import new_run
    from shoploop.runs.kubeflow.placement import check_submittable
    from shoploop.runs.kubeflow.task import run_page
    from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines, check_preset, compiled_by_process

    check_preset(preset)
    recommender = server.recommender(file)
    check_submittable(recommender)
    cron = _cron(recommender) if recurring else None
    client = None if dry_run else server.client(recommender)
    compiled = compiled_by_process(recommender)
    if out:
        from shoploop.store import disk

        disk.write_text(out, compiled)
    run = new_run(recommender)
    if client is None:
        _tell(recommender, run, compiled, preset=preset, promote=promote, cron=cron)
        return
    store = _store(recommender, store_override)
    launcher = KubeflowPipelines(client, store, compiled=lambda _: compiled, preset=preset, promotes=promote)
    console = output.console()
    if cron is not None:
        made = launcher.recur(run, cron)
        console.print(f"{run.name} runs at {cron} (UTC) from now on: recurring run {made.recurring_run_id}.")
        console.print(f"Pause     shoploop kubeflow pause -f {file} {made.recurring_run_id}")
        return
    launcher.launch(run)
    job = launcher.job(run)
    console.print(f"{run.name}  run {run.id} was handed over to {client.endpoint}")
    console.print(f"Page      {run_page(client.endpoint, job)}")
    if not wait:
        console.print(f"Follow    shoploop kubeflow status -f {file} {run.id}")
        console.print(f"Cancel    shoploop kubeflow cancel -f {file} {run.id}")
        return
    _follow(launcher, run)


def follow_or_tell(file: Path, server: Server, run_id: str, *, wait: bool, store_override: str | None) -> None:
    launcher, run = _opened(file, server, run_id, store_override)
    if wait:
        _follow(launcher, run)
        return
    look = launcher.look(run)
    table = Table(box=None)
    for title in ("step", "state", "seconds"):
        table.add_column(title, no_wrap=True)
    for step in look.steps.values():
        table.add_row(step.name, step.state, f"{step.seconds:.0f}")
    console = output.console()
    console.print(f"{run.name}  run {run.id}: {look.state}")
    output.print_table(console, table)
    if look.failure:
        console.print(output.one_line(look.failure.message))


def cancel(file: Path, server: Server, run_id: str, *, store_override: str | None) -> None:
    launcher, run = _opened(file, server, run_id, store_override)
    launcher.cancel(run)
    output.console().print(f"Run {run.id} is {launcher.look(run).state}. What is done is kept.")


def resume(file: Path, server: Server, run_id: str, *, wait: bool, store_override: str | None) -> None:
    launcher, run = _opened(file, server, run_id, store_override)
    launcher.resume(run)
    output.console().print(f"Run {run.id} goes on.")
    if wait:
        _follow(launcher, run)


def list_recurring(file: Path, server: Server) -> None:
    from shoploop.runs.kubeflow.submission import experiment_of

    recommender = server.recommender(file)
    client, runner = server.client(recommender), recommender.spec.runner
    experiment = experiment_of(client, runner.experiment or recommender.metadata.name, runner.namespace or "")
    table = Table(box=None)
    for title in ("recurring run", "name", "state", "cron"):
        table.add_column(title, no_wrap=True)
    for one in client.recurrings(experiment.experiment_id):
        cron = (one.trigger.get("cron_schedule") or {}).get("cron", "-")
        table.add_row(*map(output.one_line, (one.recurring_run_id, one.display_name, one.status, cron)))
    output.print_table(output.console(), table)


def change_recurring(file: Path, server: Server, recurring: str, verb: str) -> None:
    """Args:
    verb: disable, enable or delete_recurring of the client.
    """
    getattr(server.client(server.recommender(file)), verb)(recurring)


def _opened(file: Path, server: Server, run_id: str, store_override: str | None) -> tuple["KubeflowPipelines", "Run"]:
    from shoploop.runs import Run
    from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines

    recommender = server.recommender(file)
    run = Run(id=run_id, recommender=recommender, serving=recommender.spec.serving.pinned_version)
    return KubeflowPipelines(server.client(recommender), _store(recommender, store_override)), run


def _store(recommender: "Recommender", override: str | None) -> "Store":
    """The recommender's store, or, where this machine does not reach it, a folder beside the user: there is kept at least
    which run of the server a run is."""
    from shoploop import runs
    from shoploop.hints import beside_the_user
    from shoploop.store import Store

    try:
        return runs.open_store(recommender, override)
    except StoreError as error:
        if override:
            raise
        output.console(stderr=True).print(f"{error} The run's record cannot be read from here; the server's page can.")
        return Store(str(beside_the_user()))


def _follow(launcher: "KubeflowPipelines", run: "Run") -> None:
    from shoploop import runs
    from shoploop.cli.run import watching

    console = output.console()
    with watching(console) as watch:
        runs.follow(launcher, run, watch, every=FOLLOW_SECONDS)
    console.print(f"Run {run.id} is done.")


def _cron(recommender: "Recommender") -> str:
    schedule = recommender.spec.schedule
    if schedule is None:
        raise SpecInvalid(
            "--recurring begins runs when spec.schedule says, and it says nothing: add schedule: {cron: ...}."
        )
    if schedule.time_zone != "UTC":
        raise SpecInvalid(
            f"spec.schedule.timeZone is {schedule.time_zone}, and Kubeflow counts by its own clock, UTC unless its operator "
            "set another: write the cron in UTC, and leave timeZone out."
        )
    return schedule.cron


def _tell(
    recommender: "Recommender", run: "Run", compiled: str, *, preset: str, promote: bool, cron: str | None
) -> None:
    """What would be handed over; nobody is asked."""
    from shoploop.runs.kubeflow.placement import store_claim, task_pods
    from shoploop.runs.kubeflow.submission import version_name
    from shoploop.runs.launchers.kubeflow_pipelines import arguments

    console, runner = output.console(), recommender.spec.runner
    console.print(f"Pipeline    {run.name}, version {version_name(compiled)} ({len(compiled.encode()) / 1024:.0f} KiB)")
    console.print(f"Experiment  {runner.experiment or run.name}  namespace {runner.namespace or '-'}")
    console.print(f"Run         {'at ' + cron + ' UTC' if cron else run.id}  account {runner.service_account or '-'}")
    table = Table(box=None, title="Pods", title_justify="left")
    for title in ("task", "image", "cpu", "memory", "gpu", "minutes", "retries", "claims", "secrets"):
        table.add_column(title, no_wrap=True)
    for name, pod in task_pods(recommender).items():
        secrets = [secret for secret, _ in (*pod.secrets, *pod.secret_files)]
        gpu = f"{pod.gpu} {pod.accelerator}" if pod.gpu else "-"
        claims = ", ".join(f"{claim.name} at {claim.path}" for claim in pod.claims) or "-"
        minutes = str(pod.timeout_seconds // 60)
        table.add_row(
            name, pod.image, pod.cpu, pod.memory, gpu, minutes, str(pod.retries), claims, ", ".join(secrets) or "-"
        )
    output.print_table(console, table)
    given: dict[str, Any] = arguments(run, preset=preset, promotes=promote)
    if claim := store_claim(recommender):
        console.print(f"The store lies on the claim {claim}, ReadWriteMany, which must be there; s3://... needs none.")
    console.print("Parameters")
    for name, value in given.items():
        console.print(f"  {name}: {output.one_line(json.dumps(value))}")
    console.print("Nothing was sent: --dry-run.")
