"""A version, its verdicts and its packages, through every order of refusing, judging again, repacking, pinning and going
back: at most one version serves, the records say what the release runs, and the conditions say nothing else."""

import itertools
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from small_cluster import NAMESPACE, Clock, Killed, SmallCluster, SmallHelm
from worlds import said

from shoploop.controller import worker as worker_module
from shoploop.controller.cache import Cache
from shoploop.controller.decide.settings import Settings
from shoploop.controller.worker import Worker

KEY = (NAMESPACE, "grocery")
VERSIONS = ("va", "vb", "vc")


class Shop:
    """A Recommender on a small cluster, and what people and time do to it."""

    def __init__(self, chart):
        self.clock, self.cache = Clock(), Cache()
        self.cluster = SmallCluster(self.cache, self.clock)
        self.helm = SmallHelm(self.cluster)
        self.settings = Settings(chart=chart, pipeline_image="p:1", serving_image="s:1")
        self.asked = itertools.count(1)
        self.refused_ever: set[str] = set()
        self.passed_ever: set[str] = set()
        self.verdicts = 0
        self.worker = self.new_worker()
        self.cluster.create("grocery")
        self.settle()

    def new_worker(self) -> Worker:
        worker = Worker(self.settings, self.cluster, self.helm, self.cache)
        # time stands still unless it is moved
        worker_module.datetime = SimpleNamespace(now=self.clock.now)
        return worker

    def settle(self) -> None:
        """Looks until nothing is written any more; an operator that is killed starts anew."""
        for _ in range(40):
            before = self.cluster.objects.copy()
            self.clock.pass_by(40)
            try:
                self.worker.look(KEY)
            except Killed:
                self.cluster.writes_until_killed = None
                self.worker = self.new_worker()
                continue
            self.cluster.roll_out()
            if self.cluster.objects == before:
                return
        raise AssertionError("it never comes to rest")

    @property
    def recommender(self):
        return self.cluster.objects["Recommender", "grocery"]

    @property
    def status(self):
        return self.recommender["status"]

    @property
    def records(self):
        return [live for (kind, _), live in self.cluster.objects.items() if kind == "ModelVersion"]

    @property
    def release(self):
        revisions = self.cache.releases(KEY)
        return revisions[-1] if revisions else None

    def condition(self, type_):
        return next(found for found in self.status["conditions"] if found["type"] == type_)

    # what happens to it

    def run(self, version, *, passed, rule="NotWorse", package=None, killed_after=None):
        """Somebody asks for a run, and it makes ``version``."""
        self.cluster.change("grocery", lambda spec: None, **{"shoploop.io/run": str(next(self.asked))})
        self.end(version, passed=passed, rule=rule, package=package, killed_after=killed_after)

    def end(self, version, *, passed, rule="NotWorse", package=None, killed_after=None):
        self.settle()
        assert self.status["run"]["phase"] == "Running"
        digest = package or f"{VERSIONS.index(version) + 10:x}" * 64
        self.cluster.end_run(said(version, passed=passed, rule=rule, digest=digest))
        self.cluster.writes_until_killed = killed_after
        self.settle()
        self.cluster.writes_until_killed = None
        self.verdicts += 1
        (self.passed_ever if passed else self.refused_ever).add(version)

    def judge_again(self, version):
        """The same model under ``gate.rule: Always``, packed anew, and the rule back again."""
        self.cluster.change("grocery", lambda spec: spec["gate"].update(rule="Always"))
        if self.starts_a_run():
            self.end(version, passed=True, rule="Always", package=f"{VERSIONS.index(version) + 1}" * 64)
        self.cluster.change("grocery", lambda spec: spec["gate"].update(rule="NotWorse"))
        if self.starts_a_run():
            self.end(version, passed=True)

    def starts_a_run(self):
        self.settle()
        return self.status["run"]["phase"] == "Running"

    def pin(self, version):
        self.cluster.change("grocery", lambda spec: spec["serving"].update(pinnedVersion=version))
        self.settle()

    def unpin(self):
        self.cluster.change("grocery", lambda spec: spec["serving"].pop("pinnedVersion", None))
        self.settle()

    def roll_back(self):
        version = self.helm.roll_back("grocery")
        self.settle()
        return version

    def resume(self):
        revision = str(self.release.revision) if self.release else "0"
        self.cluster.change("grocery", lambda spec: None, **{"shoploop.io/resume": revision})
        self.settle()

    def suspend(self, yes):
        self.cluster.change("grocery", lambda spec: spec.update(suspend=yes))
        self.settle()

    # what must hold whatever happened

    def holds(self):
        ids = [record["spec"]["version"] for record in self.records]
        assert len(ids) == len(set(ids)), "a version has one record"
        serving = {r["spec"]["version"] for r in self.records if r["status"]["serving"]}
        runs = self.release.version if self.release else None
        assert self.status.get("version") == runs
        assert serving == ({runs} if runs in ids else set())
        self._conditions_say_what_is(runs)
        promoted = set(self.helm.installed) - self.passed_ever - self.pinned_ever
        assert not promoted, "nothing serves that never passed and that nobody pinned"

    pinned_ever: frozenset[str] = frozenset()

    def _conditions_say_what_is(self, runs):
        ready, gate, degraded = self.condition("Ready"), self.condition("RunSucceeded"), self.condition("Degraded")
        for found in self.status["conditions"]:
            assert "does not serve" not in found["message"]
            if found["reason"] in ("Serving", "ScaledToZero", "Released", "ServesRefused", "RecordMissing"):
                assert f"ersion {runs} " in f"{found['message']} ".replace(".", " "), found
        if ready["status"] == "True":
            assert ready["reason"] == "Serving" and runs is not None
        else:
            held = self.condition("ReleaseHeld")["status"] == "True"
            missing = ready["reason"] == "VersionNotFound"
            assert runs is None or held or missing, ready
        last = self.status["run"]
        if last["phase"] == "Succeeded":
            verdicts = [v for r in self.records for v in r["status"].get("verdicts", []) if v["run"] == last["id"]]
            for verdict in verdicts:
                assert gate["reason"] == ("RunSucceeded" if verdict["passed"] else "GateRefused")
        record = next((r for r in self.records if r["spec"]["version"] == runs), None)
        if record and not record["status"]["verdicts"][0]["passed"]:
            assert degraded["status"] == "True"


@pytest.fixture(autouse=True)
def real_time():
    before = worker_module.datetime
    yield
    worker_module.datetime = before


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def serving(shop):
    return {r["spec"]["version"]: r["status"]["serving"] for r in shop.records}


def test_a_refused_version_that_another_rule_lets_through_is_one_version_and_serves(shop):
    shop.end("va", passed=False)
    shop.holds()
    assert shop.release is None
    assert shop.condition("Ready")["reason"] == "GateRefused"
    shop.judge_again("va")
    shop.holds()
    assert serving(shop) == {"va": True}
    (record,) = shop.records
    assert [(v["rule"], v["passed"]) for v in record["status"]["verdicts"]] == [("Always", True), ("NotWorse", False)]
    assert [p["digest"][0] for p in record["status"]["packages"]] == ["1", "a"]
    assert shop.condition("Ready")["message"] == "Version va serves on 2 of 2 pods."


def test_a_later_refusal_demotes_nothing_that_serves(shop):
    shop.end("va", passed=True)
    shop.run("vb", passed=False)
    assert serving(shop) == {"va": True, "vb": False}
    shop.run("va", passed=False)
    shop.holds()
    assert serving(shop) == {"va": True, "vb": False}
    assert shop.condition("Degraded")["reason"] == "GateRefused"
    assert shop.condition("Ready")["status"] == "True"


def test_the_version_that_passed_last_serves_be_it_old_or_new(shop):
    shop.end("va", passed=True)
    shop.run("vb", passed=True)
    assert serving(shop) == {"va": False, "vb": True}
    shop.run("va", passed=True)
    assert serving(shop) == {"va": True, "vb": False}


def test_a_refused_version_that_was_pinned_gives_way_to_one_that_passed(shop):
    shop.end("va", passed=True)
    shop.run("vb", passed=False)
    shop.pin("vb")
    assert serving(shop) == {"va": False, "vb": True}
    shop.unpin()
    assert serving(shop) == {"va": True, "vb": False}


def test_a_refused_version_that_was_pinned_goes_on_where_nothing_passed(shop):
    shop.end("va", passed=False)
    shop.pin("va")
    shop.pinned_ever = {"va"}
    shop.unpin()
    shop.holds()
    assert serving(shop) == {"va": True}
    assert shop.condition("Ready")["status"] == "True"
    shop.cluster.change("grocery", lambda spec: spec["serving"].update(replicas=3))
    shop.settle()
    assert shop.condition("Ready")["message"] == "Version va serves on 3 of 3 pods."


def test_nobody_goes_back_to_a_version_that_was_refused_last(shop):
    shop.end("va", passed=True)
    shop.run("va", passed=False)
    shop.run("vb", passed=True)
    shop.cluster.pods_of_runs.clear()
    shop.cluster.delete(worker_module.MODEL_VERSION, NAMESPACE, "grocery-vb")
    shop.settle()
    shop.holds()
    assert shop.release.version == "vb"


def test_what_a_person_rolled_back_to_is_said_to_serve(shop):
    shop.end("va", passed=True)
    shop.run("vb", passed=True)
    assert shop.roll_back() == "va"
    shop.holds()
    assert serving(shop) == {"va": True, "vb": False}
    shop.resume()
    shop.holds()
    assert serving(shop) == {"va": False, "vb": True}


def test_the_package_with_the_item_fields_of_the_spec_is_released(shop):
    shop.end("va", passed=True, package="1" * 64)
    shop.cluster.change("grocery", lambda spec: spec["serving"].update(itemFields=["title", "price"]))
    shop.end("va", passed=True, package="2" * 64)
    labels = shop.cluster.objects["Deployment", "grocery-predictor"]["spec"]["template"]["metadata"]["labels"]
    assert labels["digest"] == "2" * 64
    shop.cluster.change("grocery", lambda spec: spec["serving"].update(itemFields=["title"]))
    assert not shop.starts_a_run(), "it was judged by that spec before"
    labels = shop.cluster.objects["Deployment", "grocery-predictor"]["spec"]["template"]["metadata"]["labels"]
    assert labels["digest"] == "1" * 64


def test_a_promotion_that_is_written_while_another_run_ends_is_not_forgotten(shop):
    shop.end("va", passed=True)
    shop.run("va", passed=False)
    shop.run("vc", passed=True)
    shop.run("vc", passed=False)
    shop.holds()
    assert serving(shop) == {"va": False, "vc": True}
    assert shop.status["serving"]["promoted"] == "vc"


@pytest.mark.parametrize("writes", range(8))
def test_an_operator_that_is_killed_between_two_writes_loses_no_verdict(shop, writes):
    shop.end("va", passed=False, killed_after=writes)
    shop.holds()
    assert [v["passed"] for r in shop.records for v in r["status"]["verdicts"]] == [False]
    shop.run("vb", passed=True, killed_after=writes)
    shop.holds()
    assert serving(shop) == {"va": False, "vb": True}


def test_a_record_that_somebody_deletes_comes_back_while_the_pod_that_knows_it_is_there(shop):
    shop.end("va", passed=True)
    shop.cluster.delete(worker_module.MODEL_VERSION, NAMESPACE, "grocery-va")
    shop.settle()
    shop.holds()
    assert serving(shop) == {"va": True}


def test_without_its_record_a_version_serves_on_and_says_that_it_is_gone(shop):
    shop.end("va", passed=True)
    shop.cluster.pods_of_runs.clear()
    shop.cluster.delete(worker_module.MODEL_VERSION, NAMESPACE, "grocery-va")
    shop.settle()
    shop.holds()
    assert shop.condition("Degraded")["reason"] == "RecordMissing"
    assert shop.condition("Ready")["status"] == "True"


STEPS = {
    "refuse a": lambda shop: shop.run("va", passed=False),
    "pass a": lambda shop: shop.run("va", passed=True),
    "repack a": lambda shop: shop.run("va", passed=True, package="9" * 64),
    "pass b": lambda shop: shop.run("vb", passed=True),
    "refuse b": lambda shop: shop.run("vb", passed=False),
    "always a": lambda shop: shop.judge_again("va"),
    "pin a": lambda shop: shop.pin("va"),
    "unpin": lambda shop: shop.unpin(),
    "roll back": lambda shop: shop.roll_back(),
}


CORE = ("refuse a", "always a", "pass b", "pin a", "roll back")
ORDERS = (*itertools.product(STEPS, repeat=2), *itertools.product(CORE, repeat=3))


@pytest.mark.parametrize("passed", [False, True], ids=["refused at first", "passed at first"])
def test_every_short_order_leaves_one_truth(tmp_path, passed):
    for order in ORDERS[passed::2]:
        shop = Shop(tmp_path)
        shop.pinned_ever = {"va"} if "pin a" in order else set()
        shop.end("va", passed=passed)
        for step in order:
            STEPS[step](shop)
            shop.holds()


class AnyOrder(RuleBasedStateMachine):
    """Anything in any order, with an operator that is killed now and then."""

    @initialize(passed=st.booleans())
    def begins(self, passed):
        self.folder = tempfile.TemporaryDirectory()
        self.shop = Shop(Path(self.folder.name))
        self.suspended = False
        self.shop.end("va", passed=passed)

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @precondition(lambda self: not self.suspended)
    @rule(
        version=st.sampled_from(VERSIONS), passed=st.booleans(), packed=st.sampled_from([None, "8" * 64, "9" * 64]),
        killed=st.none() | st.integers(0, 6),
    )  # fmt: skip
    def a_run_ends(self, version, passed, packed, killed):
        package = packed and f"{VERSIONS.index(version)}{packed[1:]}"
        self.shop.run(version, passed=passed, package=package, killed_after=killed)

    @precondition(lambda self: not self.suspended)
    @rule(version=st.sampled_from(VERSIONS))
    def it_is_judged_by_another_rule(self, version):
        self.shop.judge_again(version)

    @rule(version=st.sampled_from(VERSIONS))
    def a_version_is_pinned(self, version):
        self.shop.pinned_ever |= {version}
        self.shop.pin(version)

    @rule()
    def it_is_unpinned(self):
        self.shop.unpin()

    @rule()
    def a_person_rolls_back(self):
        self.shop.roll_back()

    @rule()
    def a_person_lets_go(self):
        self.shop.resume()

    @rule(yes=st.booleans())
    def it_is_suspended(self, yes):
        self.suspended = yes
        self.shop.suspend(yes)

    @invariant()
    def there_is_one_truth(self):
        if hasattr(self, "shop"):
            self.shop.holds()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=25, stateful_step_count=12, deadline=None)
