"""A run on a laptop does what the spec says, and what is printed is what was done; what serves can be asked for."""

import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from kfp import compiler
from typer.testing import CliRunner

from pipelines.recommender import recommender_pipeline
from shoploop.cli import ask
from shoploop.cli.main import app
from shoploop.errors import NotFound
from shoploop.packaging import local_service, local_setup
from shoploop.runs import folder_of
from shoploop.steps import STEPS
from shoploop.store import Store
from shoploop.versions import promotions


def spec(**sections: str) -> str:
    return "".join(f"  {name}: {value}\n" for name, value in sections.items())


def test_a_suspended_recommender_is_not_run(shop):
    shop.write(spec(suspend="true"))
    code, said = shop.run()
    assert code == 2
    assert "'shop' is suspended (spec.suspend: true)" in said
    assert not shop.toy.done() and not shop.records()


def test_a_pinned_version_that_is_not_there_is_named_before_anything_is_done(shop):
    shop.write(spec(serving="{pinnedVersion: v000000000000}"))
    code, said = shop.run()
    assert code == 2
    assert "spec.serving.pinnedVersion names v000000000000" in said and "no version yet" in said
    assert not shop.toy.done()


def another_model(shop, number: float) -> None:
    """From here on the toys train another version."""
    import pyarrow as pa
    import torch

    from shoploop.versions.artifact import write_version

    folder = shop.toy.folder / "model"
    folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
    write_version(
        folder, tensors={"w": torch.full((2,), number)}, config={}, contract={}, items=pa.table({"item": ["a"]}),
        lineage={}, metrics={},
    )  # fmt: skip


def test_the_pinned_version_serves_whatever_is_trained_and_stays(shop):
    assert shop.run()[0] == 0
    first = shop.records()[0]["version"]
    store = Store(str(shop.store))

    another_model(shop, 1.0)
    shop.write(spec(training="{seed: 1}"))
    assert shop.run()[0] == 0
    second = shop.records()[-1]["version"]
    assert second != first and promotions.serving_version(store, "shop") == second

    another_model(shop, 2.0)
    pinned = f"{{pinnedVersion: {first}}}"
    shop.write(spec(serving=pinned, training="{seed: 2}", retention="{versions: 1, runs: 1}"))
    code, said = shop.run()
    assert code == 0, said
    third = shop.records()[-1]
    assert promotions.serving_version(store, "shop") == first
    assert third["incumbent"] == first
    assert f"is kept, but does not serve: spec.serving.pinnedVersion names {first}" in said
    assert first in promotions.version_ids(store, "shop")
    assert shop.records()[0]["version"] == first


def test_what_has_no_effect_on_this_machine_is_said(shop):
    shop.write(spec(schedule='{cron: "0 4 * * *"}', renewal='{cron: "0 5 * * *"}', serving="{replicas: 3}"))
    code, said = shop.run()
    assert code == 0, said
    assert "Without effect on this machine: spec.schedule, spec.renewal, spec.serving.replicas." in said


def test_a_step_that_is_printed_as_reused_is_not_carried_out(shop):
    assert shop.run()[0] == 0
    shop.write(spec(serving="{itemFields: [title, price]}"))
    code, said = shop.run()
    assert code == 0, said
    assert shop.toy.done() == [*STEPS, "build_bento"]
    assert [line.split()[1] for line in said.splitlines() if line.startswith("↺")] == list(STEPS)[:-1]
    assert [line.split()[1] for line in said.splitlines() if line.startswith("✓")] == ["build_bento"]


def test_kubeflow_is_given_nothing_but_the_steps_that_are_due(tmp_path):
    found = {name: f"/somewhere/{name}" for name in STEPS if name != "build_bento"}
    compiler.Compiler().compile(recommender_pipeline(found), str(tmp_path / "pipeline.yaml"))
    document = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    carried_out = [name for name in document["deploymentSpec"]["executors"] if "importer" not in name]
    assert carried_out == ["exec-build-bento"]


def test_after_a_first_run_that_failed_the_error_names_what_is_there(shop):
    shop.toy.fail("build_samples", "events.csv has no column time.")
    assert shop.run()[0] == 2
    store = Store(str(shop.store))
    for asked in (
        lambda: local_setup.serving_version(store, "shop"),
        lambda: promotions.versions(store, "shop"),
        lambda: promotions.promote(store, "shop", "v000000000000", reason="", by=""),
    ):
        with pytest.raises(NotFound, match=r"has no version in .* yet: no run of it has reached its end\. .*runs shop"):
            asked()
    assert CliRunner().invoke(app, ["report", "shop", "--store", str(shop.store)]).exit_code == 0


def test_a_version_whose_run_is_gone_can_be_asked_with_the_tables_of_another_or_without_any(shop, monkeypatch, capsys):
    assert shop.run()[0] == 0
    (record,) = shop.records()
    store, asked = Store(str(shop.store)), []

    class Service:
        url = "http://localhost:1"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(local_service, "running", lambda *_, **__: Service())
    answer = {"items": [{"item": "i", "score": 1.0, "fields": {"title": "[b] Milk"}}]}
    answer |= {"shops": [{"shop": "7", "title": None, "reason": "where you mostly are on [b] Fridays"}]}
    monkeypatch.setattr(ask, "_ask", lambda url, body: asked.append((url[-6:], body["user"])) or answer)
    assert folder_of(store, "shop", record["version"]) is None  # toys write no tables
    ask.try_recommender(store, "shop", user="ann", k=1)
    ask.try_recommender(store, "shop", user=None, k=1)
    assert asked == [(of, user) for user in ("ann", ask.NEWCOMER) for of in ("ommend", "/shops")]
    said = capsys.readouterr().out
    assert "Next shop 7: where you mostly are on [b] Fridays\n" in said
    assert "[b] Milk" in said and "nobody knows here what was bought lately" in said

    (shop.store / "recommenders/shop/runs" / record["run"] / "data" / "interactions.parquet").touch()
    assert folder_of(store, "shop", "v000000000000").name == record["run"]


def test_a_proxy_in_the_environment_does_not_catch_what_is_asked_of_this_machine(monkeypatch):
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ready")

        def log_message(self, *_):
            pass

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with local_service.open_local(f"http://localhost:{server.server_port}/readyz", seconds=5) as response:
            assert response.read() == b"ready"
        server.shutdown()
        thread.join()
