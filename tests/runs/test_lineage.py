"""Where a version came from: what is kept of a run, what is sent, and what is answered."""

import json
import shutil
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import polars as pl
import pytest
import report_runs
from typer.testing import CliRunner

from shoploop.api.v1alpha1 import Recommender
from shoploop.cli.lineage import of_user, of_version
from shoploop.cli.main import app
from shoploop.errors import NotFound, SpecInvalid
from shoploop.runs import lineage
from shoploop.runs.planning import Plan, Run, keep_plan
from shoploop.runs.record import Failure, Journal
from shoploop.steps import STEPS, Entry, Workspace, sizes_of, step_keys
from shoploop.store import Store

RUN, LATER = "20260301-120000-aaaa", "20260302-120000-bbbb"


class Shop:
    """A recommender whose runs have left real documents, and three shoppers' rows."""

    def __init__(self, folder):
        self.store = Store((folder / "store").as_uri())
        self.workspace = Workspace(self.store, "shop")
        self.documents = report_runs.complete_run(folder / "documents")

    def planned(self, run, *, source="tables-1", endpoint=None):
        uri = "postgresql://me:geheim@db/shop"
        spec = {
            "data": {"tables": {"interactions": {"uri": uri, "table": "events"}}},
            "lineage": {"endpoint": endpoint},
        }
        found = Recommender.model_validate(
            {"metadata": {"name": "shop"}, "spec": json.loads(json.dumps(spec, default=str))}
        )
        keys = step_keys(found.spec, source=source, incumbent=None)
        plan = Plan(run=Run(id=run, recommender=found), source=source, incumbent=None, keys=keys)
        keep_plan(plan, self.workspace)
        return plan.seen_again(self.workspace)

    def carry_out(self, plan, users=("ann", "ann", "bob"), *, until=None):
        """Lets the steps be done that are due; what they write is the report's example."""
        for name in plan.due:
            if name == until:
                break
            out = self.workspace.path(f"recommenders/shop/work/outputs/{plan.run.id}/{STEPS[name].output}")
            if (self.documents / STEPS[name].output).is_dir():
                shutil.copytree(self.documents / STEPS[name].output, out)
            out.mkdir(parents=True, exist_ok=True)
            (out / "done").write_text("done")
            if name == "load_data":
                times = [datetime(2026, 1, day + 1, tzinfo=UTC) for day in range(len(users))]
                pl.DataFrame({"user": list(users), "time": times}).write_parquet(out / "interactions.parquet")
            folder = self.workspace.keep(out)
            entry = Entry(
                key=plan.keys[name], step=name, run=plan.run.id, folder=folder, seconds=1.0, files=sizes_of(out)
            )  # fmt: skip
            self.workspace.index.add(entry)
        return plan.seen_again(self.workspace)

    def done(self, run, version, **changes):
        """A run to its end."""
        users = changes.pop("users", ("ann", "ann", "bob"))
        begun = self.planned(run, **changes)
        journal = Journal.begin(self.workspace, begun, launcher="this machine")
        plan = self.carry_out(begun, users)
        for name in begun.due:
            journal.step(name, state="done", seconds=1.0)
        journal.end("done", version=version, passed=True, reason="good")
        lineage.keep(self.workspace, plan, journal.record)
        return plan


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    return Shop(tmp_path)


def told(shop, run):
    return {event["job"]["name"]: event for event in lineage.read(shop.store, "shop", run)}


def test_every_step_is_told_of_with_what_it_read_wrote_and_came_to(shop):
    plan = shop.done(RUN, "v1")
    events = told(shop, RUN)
    assert list(events) == ["shop", *(f"shop.{step}" for step in STEPS)]
    assert len(lineage.read(shop.store, "shop", RUN)) == len(STEPS) + 2
    loaded = events["shop.load_data"]
    assert [(one["namespace"], one["name"]) for one in loaded["inputs"]] == [("postgresql://me:...@db", "shop/events")]
    assert loaded["inputs"][0]["facets"]["version"]["datasetVersion"] == "tables-1"
    rows = {one["name"]: one["outputFacets"].get("outputStatistics", {}).get("rowCount") for one in loaded["outputs"]}
    assert rows["shop/data/interactions"] == 1_469_307
    judged = {one["name"]: one for one in events["shop.validate_data"]["inputs"]}
    assertions = judged["shop/data/interactions"]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {one["success"] for one in assertions} == {True, False} and assertions[0]["column"]
    trained = events["shop.train_fused"]
    assert trained["run"]["facets"]["shoploop_step"]["digest"] == plan.keys["train_fused"]
    assert len(trained["run"]["facets"]["shoploop_step"]["code"]) == 64
    assert {one["name"] for one in trained["inputs"]} >= {"shop/features", "shop/importance"}
    assert events["shop"]["eventType"] == "COMPLETE"
    assert {event["eventType"] for event in events.values()} == {"COMPLETE"}
    assert "geheim" not in json.dumps(list(events.values()))


def test_a_step_that_was_reused_is_told_of_as_the_execution_that_it_was(shop):
    shop.done(RUN, "v1")
    shop.done(LATER, "v1")
    before, after = told(shop, RUN), told(shop, LATER)
    for step in STEPS:
        assert before[f"shop.{step}"]["run"]["runId"] == after[f"shop.{step}"]["run"]["runId"]
        assert after[f"shop.{step}"]["run"]["facets"]["shoploop_step"]["run"] == RUN
    assert before["shop"]["run"]["runId"] != after["shop"]["run"]["runId"]


def test_a_run_that_failed_says_where_and_why(shop):
    begun = shop.planned(RUN)
    journal = Journal.begin(shop.workspace, begun, launcher="this machine")
    plan = shop.carry_out(begun, until="build_samples")
    for name in ("load_data", "validate_data", "materialize_features"):
        journal.step(name, state="done", seconds=1.0)
    journal.step("build_samples", state="failed", error="too few events")
    journal.end("failed", failure=Failure(step="build_samples", message="too few events", exit_code=2))
    lineage.keep(shop.workspace, plan, journal.record)
    events = told(shop, RUN)
    assert (events["shop"]["eventType"], events["shop.build_samples"]["eventType"]) == ("FAIL", "FAIL")
    assert events["shop.build_samples"]["run"]["facets"]["errorMessage"]["message"] == "too few events"
    assert "shop.train_fused" not in events


@pytest.fixture
def collector():
    """A server that takes events."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            taken.append((self.path, self.headers.get("authorization"), body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    server.server_close()
    thread.join()


def test_events_are_sent_where_an_endpoint_is_set(shop, collector, monkeypatch):
    endpoint, taken = collector
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "key")
    shop.done(RUN, "v1", endpoint=endpoint)
    assert {(path, key) for path, key, _ in taken} == {("/api/v1/lineage", "Bearer key")}
    assert [body for _, _, body in taken] == lineage.read(shop.store, "shop", RUN)


def test_an_endpoint_that_is_down_costs_a_warning_and_not_the_run(shop, caplog):
    shop.done(RUN, "v1", endpoint="http://127.0.0.1:9")
    assert "Events are not sent to http://127.0.0.1:9" in caplog.text
    assert len(lineage.read(shop.store, "shop", RUN)) == len(STEPS) + 2


def test_what_a_version_learned_from_is_answered(shop):
    shop.done(RUN, "v1")
    found = of_version(shop.store, "shop", None)
    assert (found["version"], found["run"], found["gate"]["passed"]) == ("v1", RUN, True)
    tables = {one["table"]: one for one in found["tables"]}
    assert tables["interactions"]["rows"] == 1_469_307 and len(tables["interactions"]["sha256"]) == 64
    assert tables["interactions"]["broken"]
    assert [one["step"] for one in found["steps"]] == list(STEPS)
    with pytest.raises(NotFound, match=r"No run is kept that made version v9.*v1"):
        of_version(shop.store, "shop", "v9")


def test_which_versions_a_users_rows_touched_is_answered(shop):
    shop.done(RUN, "v1")
    shop.done(LATER, "v2", source="tables-2", users=("bob", "eve"))
    found = {user: of_user(shop.store, "shop", user)["versions"] for user in ("ann", "bob", "nobody")}
    assert [(one["version"], one["rows"]) for one in found["ann"]] == [("v2", 0), ("v1", 2)]
    assert found["ann"][1]["first"].startswith("2026-01-01") and found["ann"][1]["last"].startswith("2026-01-02")
    assert [one["rows"] for one in found["bob"]] == [1, 1]
    assert [one["rows"] for one in found["nobody"]] == [0, 0]


def test_of_tables_that_are_gone_nothing_is_claimed(shop):
    shop.done(RUN, "v1")
    shutil.rmtree(shop.store.folder / "recommenders/shop/work/outputs")
    assert [one["rows"] for one in of_user(shop.store, "shop", "ann")["versions"]] == [None]


def test_the_command_answers_people_and_programs(shop):
    shop.done(RUN, "v1")

    def shoploop(*words):
        return CliRunner().invoke(app, [*words, "--store", shop.store.uri], catch_exceptions=False).output

    assert "1,469,307" in (said := shoploop("lineage", "shop")) and "v1 of shop" in said
    assert json.loads(shoploop("lineage", "shop", "v1", "--json", "-"))["events"] == len(STEPS) + 2
    assert "touched 1 of 1 versions" in shoploop("lineage", "shop", "--user", "ann")
    assert json.loads(shoploop("lineage", "shop", "--user", "ann", "--json", "-"))["versions"][0]["rows"] == 2
    with pytest.raises(SpecInvalid):
        shoploop("lineage", "shop", "v1", "--user", "ann")
