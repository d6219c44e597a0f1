"""Each launcher, with toy steps to carry out, as a person and an operator use it."""

import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
import quick_compiling  # noqa: F401
import toy_steps
from fake_cluster import FakeCluster
from fake_kubeflow import FakeKubeflow
from kubeflow_carrier import Carrier

from shoploop.api.v1alpha1 import Recommender
from shoploop.controller.decide.jobs import Jobs
from shoploop.controller.decide.settings import Settings
from shoploop.runs import Look, Run, ThisMachine, new_run
from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines
from shoploop.runs.launchers.launcher import Launcher
from shoploop.steps import STEPS
from shoploop.store import Store


class JobsOfCluster:
    """The launcher Jobs with somebody beside it who does what it decides, as the operator's worker does."""

    name = "Jobs"

    def __init__(self, cluster: FakeCluster, parts_differ: bool = False):
        self.cluster = cluster
        self.gpu = int(parts_differ)
        self.cancelled: set[str] = set()
        self.wanted: dict[str, Run] = {}
        self.stopped = threading.Event()
        self.turn = threading.Lock()
        self.worker = threading.Thread(target=self._work, daemon=True)
        self.worker.start()

    def launch(self, run: Run) -> None:
        self.wanted[run.id] = run

    def look(self, run: Run) -> Look:
        look = self._jobs(run).look(run.id, self.cluster)
        if run.id in self.cancelled:  # its Jobs are gone: who asked has to remember
            return Look(state="cancelled", steps=look.steps)
        return look

    def cancel(self, run: Run) -> None:
        if self.look(run).state != "running":
            return
        with self.turn:
            self.cancelled.add(run.id)
            self._do(self._jobs(run).cancel(run.id, self.cluster))

    def resume(self, run: Run) -> None:
        with self.turn:
            self._do(self._jobs(run).resume(run.id, self.cluster))
            self.cancelled.discard(run.id)

    def logs(self, run: Run) -> Iterator[str]:
        yield from self.cluster.logs(self._jobs(run).logs(run.id))

    def end(self) -> None:
        self.stopped.set()
        self.worker.join()
        self.cluster.end()

    def _work(self) -> None:
        while not self.stopped.wait(0.05):
            for run in list(self.wanted.values()):
                with self.turn:
                    if run.id not in self.cancelled:
                        self._do(self._jobs(run).advance(run.id, self.cluster))

    def _do(self, moves) -> None:
        for thing in moves.apply:
            self.cluster.apply(thing)
        for kind, name in moves.delete:
            self.cluster.delete(kind, name)

    def _jobs(self, run: Run) -> Jobs:
        known = run.recommender.model_dump(mode="json", by_alias=True, exclude_none=True)
        known["metadata"] |= {"namespace": "shop", "uid": "6f1f0e52"}
        spec = run.recommender.spec
        training = spec.training
        resources = training.resources.model_copy(update={"gpu": self.gpu})
        spec = spec.model_copy(update={"training": training.model_copy(update={"resources": resources})})
        return Jobs(known, spec, Settings(chart=Path("."), pipeline_image="pipeline", serving_image="serving"))


class OnKubeflow(KubeflowPipelines):
    """The launcher of Kubeflow Pipelines, with a server beside it that carries out what it is handed."""

    def __init__(self, store: Store, folder: Path, toy: toy_steps.Toy):
        self.carrier = Carrier(folder, toy)
        self.server = FakeKubeflow(self.carrier)
        client = KubeflowClient("http://kubeflow", transport=httpx.MockTransport(self.server.answer))
        super().__init__(client, store, compiled=lambda one: compiled(one.model_dump_json(by_alias=True)))

    def end(self) -> None:
        self.carrier.end()


class Bench:
    """A launcher at work: a store, toy steps, and a recommender to run."""

    def __init__(self, launcher: Launcher, store: Store, toy: toy_steps.Toy, recommender: Recommender):
        self.launcher, self.store, self.toy, self.recommender = launcher, store, toy, recommender

    def launched(self) -> Run:
        run = new_run(self.recommender)
        self.launcher.launch(run)
        return run

    def ended(self, run: Run) -> Look:
        return self.until(run, lambda look: look.state != "running")

    def until(self, run: Run, holds) -> Look:
        deadline = time.monotonic() + 300
        while not holds(look := self.launcher.look(run)):
            assert time.monotonic() < deadline, f"{look}\n" + "\n".join(self.launcher.logs(run))
            time.sleep(0.05)
        return look

    def until_done(self, step: str) -> None:
        deadline = time.monotonic() + 300
        while step not in self.toy.done():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory):
    return toy_steps.Toy(tmp_path_factory.mktemp("toy")).prepare().folder / "model"


@pytest.fixture
def toy(tmp_path, toy_model, monkeypatch):
    made = toy_steps.Toy(tmp_path / "toy")
    (made.folder / "model").symlink_to(toy_model)
    monkeypatch.setenv(toy_steps.VARIABLE, str(made.folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    for name, step in STEPS.items():  # a step's key holds the source of its function: it is the same in every process
        monkeypatch.setitem(STEPS, name, step)
    for module, name, instead in toy_steps.spare():
        monkeypatch.setattr(module, name, instead)
    toy_steps.install(made.folder)
    return made


@pytest.fixture
def recommender(tmp_path):
    (tmp_path / "events.csv").write_text("user,item,time\nu,i,2026-01-01T00:00:00Z\n")
    tables = {"interactions": {"uri": str(tmp_path / "events.csv")}}
    spec = {"data": {"tables": tables}, "store": {"uri": (tmp_path / "store").as_uri()}}
    spec["runner"] = {"volumes": [{"claim": "here", "path": str(tmp_path)}], "retries": 0}  # pods have this folder, too
    return Recommender.model_validate({"metadata": {"name": "shop"}, "spec": spec})


@cache
def compiled(document: str) -> str:
    from pipelines.recommender import compile_pipeline, server_pipeline

    with TemporaryDirectory() as folder:
        target = Path(folder) / "pipeline.yaml"
        compile_pipeline(server_pipeline(Recommender.model_validate_json(document)), target, name="shop")
        return target.read_text()


@pytest.fixture
def make_bench(tmp_path, toy, recommender):
    """A bench with the launcher of a name; all of one test share the store."""
    made = []

    def make(name: str) -> Bench:
        store = Store((tmp_path / "store").as_uri())
        if name == "this machine":
            return Bench(ThisMachine(store, pipeline=(sys.executable, toy_steps.__file__)), store, toy, recommender)
        if name == "Kubeflow Pipelines":
            made.append(OnKubeflow(store, tmp_path / "kubeflow", toy))
            return Bench(made[-1], store, toy, recommender)
        made.append(JobsOfCluster(FakeCluster(tmp_path / "cluster", toy), parts_differ=name == "Jobs in parts"))
        return Bench(made[-1], store, toy, recommender)

    yield make
    for launcher in made:
        launcher.end()
