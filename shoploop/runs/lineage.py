"""Where everything of a run came from, as OpenLineage events: written beside the run, and sent where somebody collects them.

An event a step, and two about the run as a whole. A step that was not carried out again is told of as the run that did it has
told: its id follows from the store, that run and the step, so whoever collects events sees one execution, however often it
is told. What a step read and wrote is named by digests; what it came to is in facets of our own, ``shoploop_step`` and
``shoploop_facts``.
"""

import importlib.util
import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shoploop import __version__
from shoploop.errors import without_passwords
from shoploop.runs.planning import Plan
from shoploop.runs.record import Record
from shoploop.steps import PRODUCER, STEPS, Workspace, settings_of
from shoploop.store import Store, layout

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent

log = logging.getLogger(__name__)

PRODUCER_URL = "https://shoploop.io/lineage"
ENDPOINT_VARIABLE = "OPENLINEAGE_URL"
KEY_VARIABLE = "OPENLINEAGE_API_KEY"
SEND_SECONDS = 3.0
"""For one event; who collects them must not hold up a run."""


def keep(workspace: Workspace, plan: Plan, record: Record) -> None:
    """Writes the events of a run that has ended beside it, and sends them where an endpoint is set.

    A run is not lost for it: what cannot be written or sent is a warning.
    """
    if importlib.util.find_spec("openlineage") is None:
        log.warning(
            "The package openlineage-python is missing, so nothing is kept of where this run's version came from."
        )
        return
    try:
        told = list(events(workspace, plan, record))
        lines = [_json(event) for event in told]
        workspace.store.put(layout.run_lineage(plan.run.key), ("\n".join(lines) + "\n").encode())
        endpoint = plan.run.recommender.spec.lineage.endpoint or os.environ.get(ENDPOINT_VARIABLE)
        if endpoint:
            send(told, endpoint)
    except Exception as error:
        log.warning("Where run %s came from is not kept: %s: %s", plan.run.id, type(error).__name__, error)


def send(told: "list[RunEvent]", endpoint: str) -> None:
    """Sends events to a server of OpenLineage's HTTP API; the first that cannot be sent ends it.

    Args:
        endpoint: Its address, e.g. http://marquez:5000; the key is in OPENLINEAGE_API_KEY, where it asks for one.
    """
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

    key = os.environ.get(KEY_VARIABLE)
    auth = ApiKeyTokenProvider({"api_key": key}) if key else TokenProvider({})
    try:
        transport = HttpTransport(HttpConfig(url=endpoint, timeout=SEND_SECONDS, auth=auth, retry={"total": 1}))
        for event in told:
            transport.emit(event)
    except Exception as error:  # a library's and a network's many ways to say that nobody took it
        log.warning("Events are not sent to %s: %s", without_passwords(endpoint), without_passwords(str(error))[:300])


def read(store: Store, name: str, run: str) -> list[dict[str, Any]]:
    """The events that were kept of a run.

    Raises:
        NotFound: there are none.
    """
    body = store.get(layout.run_lineage(layout.run(name, run)))
    return [json.loads(line) for line in body.decode().splitlines() if line.strip()]


def events(workspace: Workspace, plan: Plan, record: Record) -> "Iterator[RunEvent]":
    """The events of a run, in the order of its steps."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import error_message_run, parent_run, processing_engine_run, set_producer

    from shoploop.report.step_facts import document_of

    set_producer(PRODUCER_URL)

    at = _Names(workspace.store, plan)
    whole, job = at.run_id(plan.run.id, "run"), Job(namespace=at.namespace, name=at.name)
    ended = record.ended or record.started
    engine = processing_engine_run.ProcessingEngineRunFacet(version=__version__, name=f"shoploop on {record.launcher}")

    def moment(seconds: float) -> str:
        """Within the run: steps follow one another, and of each only its length is known."""
        return min(record.started + timedelta(seconds=seconds), ended).isoformat()

    yield RunEvent(
        eventType=RunState.START,
        eventTime=record.started.isoformat(),
        run=Run(runId=whole, facets={"processing_engine": engine}),
        job=job,
        producer=PRODUCER_URL,
    )
    passed = 0.0
    made: list[OutputDataset] = []
    for step in record.steps:
        if step.state not in ("done", "reused", "failed"):
            continue
        entry = plan.found.get(step.name)
        passed += step.seconds if step.state == "done" else 0.0
        document = document_of(step.name, workspace.output(entry)) if entry else {}
        by = entry.run if entry else plan.run.id
        run_facets: dict[str, Any] = {
            "parent": parent_run.ParentRunFacet(
                run=parent_run.Run(runId=at.run_id(by, "run")), job=parent_run.Job(namespace=at.namespace, name=at.name)
            ),
            "processing_engine": engine,
            **_own_facets(plan, step.name, document, by=by, state=step.state),
        }
        if step.state == "failed":
            run_facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
                message=step.error or "no word", programmingLanguage="python"
            )
        outputs = [] if step.state == "failed" else list(_outputs(at, plan, step.name, document))
        made = outputs if step.name in ("train_fused", "build_bento") and outputs else made
        yield RunEvent(
            eventType=RunState.FAIL if step.state == "failed" else RunState.COMPLETE,
            eventTime=moment(passed),
            run=Run(runId=at.run_id(by, step.name), facets=run_facets),
            job=Job(namespace=at.namespace, name=f"{at.name}.{step.name}", facets=_job_facets(step.name)),
            inputs=list(_inputs(at, plan, step.name, workspace)),
            outputs=outputs,
            producer=PRODUCER_URL,
        )
    kind = {"done": RunState.COMPLETE, "cancelled": RunState.ABORT}.get(record.state, RunState.FAIL)
    facets: dict[str, Any] = {"processing_engine": engine, "shoploop_facts": _facets().facts(facts=_of_run(record))}
    if record.failure:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=record.failure.message, programmingLanguage="python"
        )
    yield RunEvent(
        eventType=kind,
        eventTime=ended.isoformat(),
        run=Run(runId=whole, facets=facets),
        job=job,
        inputs=list(_inputs(at, plan, "load_data", workspace)),
        outputs=made if kind == RunState.COMPLETE else [],
        producer=PRODUCER_URL,
    )


class _Names:
    """How runs and data sets of one recommender are named."""

    def __init__(self, store: Store, plan: Plan):
        self.namespace, self.name = without_passwords(store.uri), plan.run.name

    def run_id(self, run: str, what: str) -> str:
        """A UUID, as OpenLineage asks for, that is the same whoever tells of it."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.namespace}/{layout.run(self.name, run)}/{what}"))

    def data_set(self, part: str) -> str:
        return f"{self.name}/{part}"


def _of_run(record: Record) -> dict[str, Any]:
    found = {"version": record.version, "passed": record.passed, "reason": record.reason, "incumbent": record.incumbent}
    return {"run": record.run, "state": record.state} | {
        name: value for name, value in found.items() if value is not None
    }


def _own_facets(plan: Plan, step: str, document: Mapping[str, Any], *, by: str, state: str) -> dict[str, Any]:
    from shoploop.code_digest import code_digest
    from shoploop.report.step_facts import facts

    known = STEPS[step]
    told = dict(facts(step, dict(document)).metadata)
    if verdict := document.get("verdict"):
        told["verdict"] = verdict
    settings = json.loads(without_passwords(json.dumps(settings_of(plan.run.recommender.spec, known))))
    digest = code_digest(known.module, shell=known.shell)
    ours = _facets()
    return {
        "shoploop_step": ours.step(
            step=step, digest=plan.keys[step], code=digest, settings=settings, run=by, state=state
        ),
        "shoploop_facts": ours.facts(facts=told),
    }


def _job_facets(step: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import documentation_job, job_type_job

    return {
        "documentation": documentation_job.DocumentationJobFacet(description=STEPS[step].says),
        "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="SHOPLOOP", jobType="STEP"),
    }


def _inputs(at: _Names, plan: Plan, step: str, workspace: Workspace) -> "Iterator[InputDataset]":
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import data_quality_assertions_dataset, dataset_version_dataset

    from shoploop.report.step_facts import document_of

    def version(of: str) -> dict[str, Any]:
        return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=of)}

    if step == "load_data":
        for namespace, name in _raw(plan):
            yield InputDataset(namespace=namespace, name=name, facets=version(plan.source))
        if plan.collected:
            facets = version(f"cut {plan.collected}")
            yield InputDataset(namespace=at.namespace, name=at.data_set("collected"), facets=facets)
        return
    if step == "validate_data" and (entry := plan.found.get("load_data")):
        document = document_of("load_data", workspace.output(entry))
        judged = plan.found.get(step)
        found = document_of(step, workspace.output(judged)).get("expectations", []) if judged else []
        for table, described in (document.get("tables") or {}).items():
            assertions = [
                data_quality_assertions_dataset.Assertion(
                    assertion=str(one.get("rule") or one["name"]),
                    success=bool(one.get("passed")),
                    column=None if one.get("column") in (None, "as_expected") else str(one["column"]),
                    name=str(one["name"]),
                    severity={"Stop": "error", "Warn": "warn"}.get(str(one.get("severity"))),
                    actual=f"{one.get('unexpected')} of {one.get('rows')} rows",
                )
                for one in found
                if one.get("table") == table
            ]
            facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions=assertions)
            yield InputDataset(
                namespace=at.namespace,
                name=at.data_set(f"data/{table}"),
                facets=version(str(described.get("sha256"))),
                inputFacets={"dataQualityAssertions": facet} if assertions else {},
            )
        return
    for output in STEPS[step].inputs:
        facets = version(plan.keys[PRODUCER[output]])
        yield InputDataset(namespace=at.namespace, name=at.data_set(output), facets=facets)
    if step == "evaluate_model" and plan.incumbent:
        name = at.data_set(f"versions/{plan.incumbent}")
        yield InputDataset(namespace=at.namespace, name=name, facets=version(plan.incumbent))


def _outputs(at: _Names, plan: Plan, step: str, document: Mapping[str, Any]) -> "Iterator[OutputDataset]":
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import (
        dataset_version_dataset,
        output_statistics_output_dataset,
        schema_dataset,
    )

    def version(of: str) -> dict[str, Any]:
        return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=of)}

    yield OutputDataset(
        namespace=at.namespace, name=at.data_set(STEPS[step].output), facets=version(plan.keys[step])
    )  # fmt: skip
    if step == "load_data":
        for table, described in (document.get("tables") or {}).items():
            fields = [schema_dataset.SchemaDatasetFacetFields(name=str(column)) for column in described["columns"]]
            yield OutputDataset(
                namespace=at.namespace,
                name=at.data_set(f"data/{table}"),
                facets=version(described["sha256"]) | {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)},
                outputFacets={
                    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                        rowCount=int(described["rows"])
                    )
                },
            )
    if step == "train_fused" and document.get("version"):
        named = str(document["version"])
        yield OutputDataset(namespace=at.namespace, name=at.data_set(f"versions/{named}"), facets=version(named))
    if step == "build_bento" and document.get("sha256"):
        name = at.data_set(f"versions/{document.get('version')}/bento")
        yield OutputDataset(namespace=at.namespace, name=name, facets=version(str(document["sha256"])))


def _raw(plan: Plan) -> Iterator[tuple[str, str]]:
    """Namespace and name of what the first step reads."""
    data = plan.run.recommender.spec.data
    if data.dataset is not None:
        yield "shoploop", f"datasets/{data.dataset}"
        return
    for _, table in data.tables or ():
        if table is None:
            continue
        scheme, separator, rest = without_passwords(table.uri).partition("://")
        if not separator:
            yield "file", table.uri
            continue
        host, _, path = rest.partition("/")
        yield f"{scheme}://{host}", "/".join(part for part in (path, table.table) if part) or host


def _facets() -> Any:
    """Our own facets; their classes need the package."""
    import attr
    from openlineage.client.facet_v2 import RunFacet

    global _OWN
    if _OWN is None:

        @attr.define
        class StepFacet(RunFacet):
            """Which work it was: by its digest, of which code and which settings, done by which run."""

            step: str
            digest: str
            code: str
            settings: dict[str, Any]
            run: str
            state: str

        @attr.define
        class FactsFacet(RunFacet):
            """What it came to."""

            facts: dict[str, Any]

        class Own:
            step, facts = StepFacet, FactsFacet

        _OWN = Own
    return _OWN


_OWN: Any = None


def _json(event: "RunEvent") -> str:
    from openlineage.client.serde import Serde

    return Serde.to_json(event)


def touched_by(workspace: Workspace, plan: Plan, user: str) -> dict[str, Any] | None:
    """How many rows of a user a run has read, and from when to when; None where its tables are gone.

    Only the columns user and time are read.
    """
    import polars as pl

    entry = workspace.index.find(plan.keys["load_data"])
    path = workspace.output(entry) / "interactions.parquet" if entry else None
    if path is None or not path.is_file():
        return None
    rows = pl.scan_parquet(path).filter(pl.col("user").cast(pl.String) == user).select("time").collect()["time"]
    first, last = rows.min(), rows.max()
    ends = {
        name: moment.isoformat() for name, moment in (("first", first), ("last", last)) if isinstance(moment, datetime)
    }
    return {"rows": rows.len(), **ends}


def plan_of(workspace: Workspace, name: str, run: str) -> Plan:
    """
    Raises:
        NotFound: nothing is kept of what the run planned.
    """
    from shoploop.runs.planning import read_plan

    return read_plan(layout.run(name, run), workspace)
