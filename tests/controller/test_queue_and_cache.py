"""What waits to be looked at, and what is remembered of the world."""

import threading
from pathlib import Path

from worlds import helm_secret

from shoploop.controller import metrics, rbac
from shoploop.controller.cache import Cache
from shoploop.controller.cleanup import main as clean
from shoploop.controller.decide.kinds import BY_NAME, DEPLOYMENT, MODEL_VERSION, RECOMMENDER, SECRET, WATCHED
from shoploop.controller.decide.settings import Settings, chart_digest
from shoploop.controller.health import STUCK_SECONDS, Pulse, health_answer, metrics_answer
from shoploop.controller.pending import Pending
from shoploop.store import Store

KEY = ("shop", "grocery")


def recommender(version="5"):
    return {"metadata": {"namespace": "shop", "name": "grocery", "resourceVersion": version, "managedFields": [1]}}


def test_a_key_waits_once_and_its_earliest_time_holds():
    pending = Pending()
    pending.add(KEY, 60)
    pending.add(KEY)
    pending.add(KEY, 30)
    assert pending.take() == KEY
    assert len(pending) == 0


def test_a_key_is_looked_at_by_one_worker_at_a_time():
    pending = Pending()
    pending.add(KEY)
    assert pending.take() == KEY
    pending.add(KEY)
    pending.add(("shop", "other"), 0.001)
    assert pending.take() == ("shop", "other")
    taken = []
    waiter = threading.Thread(target=lambda: taken.append(pending.take()))
    waiter.start()
    pending.done(KEY)
    waiter.join(5)
    assert taken == [KEY]


def test_closing_lets_the_workers_go():
    pending = Pending()
    threading.Timer(0.05, pending.close).start()
    assert pending.take() is None


def test_an_older_state_never_replaces_a_newer_one():
    cache = Cache()
    cache.put(RECOMMENDER, recommender("9") | {"spec": "new"})
    cache.put(RECOMMENDER, recommender("8") | {"spec": "old"})
    assert cache.recommender(KEY)["spec"] == "new"
    assert "managedFields" not in cache.recommender(KEY)["metadata"]


def test_children_are_found_by_their_label_and_versions_by_their_spec():
    cache = Cache()
    labels = {"shoploop.io/recommender": "grocery"}
    meta = {"namespace": "shop", "name": "d", "resourceVersion": "1", "labels": labels}
    assert cache.put(DEPLOYMENT, {"metadata": meta}) == KEY
    version = {
        "metadata": {"namespace": "shop", "name": "v", "resourceVersion": "1"},
        "spec": {"recommender": "grocery"},
    }
    assert cache.put(MODEL_VERSION, version) == KEY
    assert set(cache.children(KEY)) == {("Deployment", "d"), ("ModelVersion", "v")}
    assert cache.remove(DEPLOYMENT, "shop", "d") == [KEY]
    assert cache.remove(DEPLOYMENT, "shop", "d") == []


def test_what_belongs_to_nobody_is_known_and_not_kept():
    cache = Cache()
    assert cache.put(DEPLOYMENT, {"metadata": {"namespace": "shop", "name": "d", "resourceVersion": "3"}}) is None
    assert cache.known(DEPLOYMENT) == {("shop", "d"): "3"}


def test_revisions_come_in_order_and_only_the_newest_has_its_manifest():
    cache = Cache()
    for revision in (10, 9):
        secret = helm_secret(
            {
                "name": "grocery", "version": revision, "manifest": f"r: {revision}", "info": {"status": "deployed"},
                "chart": {"metadata": {"name": "recommender"}},
            }
        )  # fmt: skip
        secret["metadata"] |= {"name": f"s{revision}", "labels": {"shoploop.io/recommender": "grocery"}}
        cache.put(SECRET, secret)
    assert [(r.revision, r.manifest) for r in cache.releases(KEY)] == [(9, ""), (10, "r: 10")]
    cache.remove(SECRET, "shop", "s10")
    assert [r.revision for r in cache.releases(KEY)] == [9]


def test_every_kind_that_the_chart_renders_is_watched():
    rendered = {"Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy", "ScaledObject",
                "Ingress", "HTTPRoute", "ServiceMonitor"}  # fmt: skip
    assert rendered <= {kind.kind for kind in WATCHED}
    assert BY_NAME["apps/v1", "Deployment"].path("shop", "d") == "/apis/apps/v1/namespaces/shop/deployments/d"
    assert BY_NAME["v1", "Service"].path(None) == "/api/v1/services"


def test_the_role_names_no_star():
    assert all("*" not in value for rule in rbac.rules() for values in rule.values() for value in values)


def test_an_operator_that_hangs_or_hears_nothing_is_unhealthy():
    deaf: list[str | None] = [None]
    busy: list[float] = []
    pulse = Pulse(busy=lambda: busy, deaf=lambda: deaf[0])
    answer = health_answer(pulse)
    assert answer("/healthz") == (503, "text/plain", b"it is starting\n")
    pulse.beat()
    assert answer("/healthz")[0] == 200
    deaf[0] = "jobs"
    assert answer("/healthz") == (503, "text/plain", b"the watch of jobs is deaf\n")
    deaf[0] = None
    busy.append(-STUCK_SECONDS * 1000.0)
    assert "stuck" in pulse.trouble()
    assert answer("/other") is None


def test_metrics_are_served():
    metrics.RECONCILE_SECONDS.observe(0.1)
    status, _, body = metrics_answer("/metrics")
    assert status == 200 and b"shoploop_operator_reconcile_seconds" in body


def test_settings_come_from_the_environment():
    made = Settings.from_env({"SHOPLOOP_NAMESPACES": "a, b,", "SHOPLOOP_METRICS_PORT": "1", "SHOPLOOP_CHART": "/c"})
    assert (made.namespaces, made.metrics_port, made.chart) == (("a", "b"), 1, Path("/c"))
    assert Settings.from_env({}).namespaces == ()


def test_another_chart_has_another_digest(tmp_path):
    (tmp_path / "Chart.yaml").write_text("a")
    before = chart_digest(tmp_path)
    (tmp_path / "Chart.yaml").write_text("b")
    assert chart_digest(tmp_path) != before


def test_cleaning_up_removes_one_recommender_only(tmp_path, capsys):
    store = Store(str(tmp_path))
    store.put("recommenders/grocery/runs/1/a", b"1")
    store.put("recommenders/other/runs/1/a", b"1")
    assert clean(["--store", tmp_path.as_uri(), "--recommender", "grocery"]) == 0
    assert list(store.list("")) == ["recommenders/other/runs/1/a"]
    assert "Removed 1 objects" in capsys.readouterr().out
