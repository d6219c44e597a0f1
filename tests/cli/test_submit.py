"""``shoploop submit`` and ``shoploop kubeflow`` as a person types them."""

import httpx
import pytest
import quick_compiling  # noqa: F401
import small_pipeline
from fake_kubeflow import FakeKubeflow
from typer.testing import CliRunner

from shoploop.cli import submit as submit_
from shoploop.cli.main import app
from shoploop.errors import SpecInvalid
from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.kubeflow.errors import KubeflowUnreachable
from shoploop.runs.launchers import kubeflow_pipelines

YAML = """
metadata: {{name: shop}}
spec:
  store: {{uri: "file://{folder}/store"}}
  data: {{dataset: completejourney}}
  runner: {{volumes: [{{claim: c, path: {folder}}}]}}
  schedule: {{cron: "0 3 * * *"}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "recommender.yaml"
    path.write_text(YAML.format(folder=tmp_path))
    return path


@pytest.fixture
def fake(monkeypatch):
    server = FakeKubeflow()
    monkeypatch.delenv("SHOPLOOP_STORE", raising=False)
    monkeypatch.setattr(kubeflow_pipelines, "compiled_by_process", lambda _: small_pipeline.text())
    client = KubeflowClient("http://kubeflow", transport=httpx.MockTransport(server.answer), sleep=lambda _: None)
    monkeypatch.setattr(submit_.Server, "client", lambda self, recommender: client)
    return server


def shoploop(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_dry_run_says_what_would_be_handed_over_and_asks_nobody(fake, file, tmp_path):
    said = shoploop("submit", "-f", file, "--endpoint", "http://nobody", "--dry-run", "--preset", "small",
                    "--image", "shoploop-pipeline:7", "--out", tmp_path / "p.yaml")  # fmt: skip
    assert not fake.asked
    assert "Nothing was sent" in said and "version sha256-" in said and "epochs: 1" in said
    assert "train_fused" in said and "shoploop-pipeline:7" in said and "record_end" in said
    assert (tmp_path / "p.yaml").read_text() == small_pipeline.text()


def test_a_run_is_submitted_looked_at_cancelled_and_resumed(fake, file):
    said = shoploop("submit", "-f", file, "--promote")
    (run,) = fake.runs.values()
    name = run["display_name"]
    assert name in said and f"http://kubeflow/#/runs/details/{run['run_id']}" in said
    assert run["runtime_config"]["parameters"]["promotes"] is True
    fake.advance(run["run_id"], "RUNNING", done=1)
    assert "load_data" in (said := shoploop("kubeflow", "status", "-f", file, name)) and "running" in said
    fake.advance(run["run_id"], "FAILED", done=1)
    assert "is failed" in shoploop("kubeflow", "cancel", "-f", file, name)
    assert "goes on" in shoploop("kubeflow", "resume", "-f", file, name)
    fake.advance(run["run_id"], "SUCCEEDED")
    assert "is done" in shoploop("kubeflow", "status", "-f", file, name, "--wait")


def test_runs_begin_by_a_clock_and_are_paused_and_stopped(fake, file):
    said = shoploop("submit", "-f", file, "--recurring")
    (made,) = fake.recurring
    assert made in said and "0 0 3 * * *" in shoploop("kubeflow", "recurring", "-f", file)
    shoploop("kubeflow", "pause", "-f", file, made)
    assert fake.recurring[made]["status"] == "DISABLED"
    shoploop("kubeflow", "unpause", "-f", file, made)
    assert fake.recurring[made]["status"] == "ENABLED"
    shoploop("kubeflow", "stop", "-f", file, made)
    assert not fake.recurring


@pytest.mark.parametrize(
    ("change", "words", "says"),
    [
        ("", ["--preset", "tiny"], "no preset 'tiny'; there are small, full"),
        ('  schedule: {cron: "0 3 * * *"}\n', ["--recurring"], "spec.schedule says, and it says nothing"),
        ('cron: "0 3 * * *"', ["--recurring"], "write the cron in UTC"),
    ],
)
def test_what_a_person_gets_wrong_is_named(fake, file, change, words, says):
    instead = "" if change.startswith(" ") else 'cron: "0 3 * * *", timeZone: Europe/Berlin'
    file.write_text(file.read_text().replace(change, instead) if change else file.read_text())
    with pytest.raises(SpecInvalid, match=says):
        CliRunner().invoke(app, ["submit", "-f", str(file), *words], catch_exceptions=False)


def test_without_an_endpoint_it_says_where_one_is_named(file, monkeypatch):
    monkeypatch.delenv("SHOPLOOP_KUBEFLOW", raising=False)
    with pytest.raises(SpecInvalid, match=r"--endpoint, spec\.runner\.endpoint or SHOPLOOP_KUBEFLOW"):
        CliRunner().invoke(app, ["submit", "-f", str(file)], catch_exceptions=False)


def test_a_server_that_is_down_is_named(file, monkeypatch):
    monkeypatch.setattr(kubeflow_pipelines, "compiled_by_process", lambda _: small_pipeline.text())
    words = ["submit", "-f", str(file), "--endpoint", "http://127.0.0.1:9"]
    soon = KubeflowClient.__init__.__kwdefaults__ | {"deadline_seconds": 0.1}
    monkeypatch.setattr(KubeflowClient.__init__, "__kwdefaults__", soon)
    with pytest.raises(KubeflowUnreachable, match=r"127\.0\.0\.1:9 cannot be reached"):
        CliRunner().invoke(app, words, catch_exceptions=False)
