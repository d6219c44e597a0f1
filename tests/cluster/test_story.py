"""The whole story on a real cluster: install, apply, wait, ask, change, delete. It is told in this file's order."""

import json

import pytest
from conftest import PLATFORM, Cluster, Failed, Shop, condition

pytestmark = pytest.mark.cluster

READY_BAR_SECONDS = 300
GONE = "jobs,deployments,services,configmaps,secrets,poddisruptionbudgets,networkpolicies,modelversions,pods"


def test_a_recommender_becomes_ready_within_its_bar(shop: Shop, record_property):
    record_property("seconds_to_ready", round(shop.seconds_to_ready))
    print(f"\nfrom apply to Ready: {shop.seconds_to_ready:.0f} s (bar: {READY_BAR_SECONDS} s)")
    found = shop.recommender()
    assert found["status"]["version"].startswith("v")
    assert found["status"]["replicas"] == 2


def test_kubectl_get_tells_the_story(shop: Shop):
    header, line = shop.cluster.kubectl("get", "recommenders", "-n", shop.namespace).splitlines()
    assert header.split()[:2] == ["NAME", "READY"]
    assert line.split()[:2] == ["grocery", "True"]
    assert shop.recommender()["status"]["version"] in line


def test_a_model_version_records_what_was_trained(shop: Shop):
    records = shop.cluster.items("modelversions", "-n", shop.namespace)  # other tests train the same shop again
    (record,) = (found for found in records if found["status"]["serving"])
    assert record["spec"]["recommender"] == "grocery"
    assert record["spec"]["version"] == shop.recommender()["status"]["version"]
    (verdict,), (package,) = record["status"]["verdicts"], record["status"]["packages"]
    assert verdict["passed"] is True and record["status"]["serving"] is True
    assert package["run"] == verdict["run"] == record["spec"]["run"]


def test_the_release_is_a_real_helm_release(shop: Shop):
    (release,) = json.loads(shop.cluster.helm("list", "-n", shop.namespace, "-o", "json"))
    assert (release["name"], release["status"]) == ("grocery", "deployed")


def test_the_service_recommends_items_of_the_shop(shop: Shop):
    answer = shop.recommend("1", 5)
    assert len(answer["items"]) == 5
    assert answer["version"] == shop.recommender()["status"]["version"]


def test_a_user_whom_nobody_knows_gets_an_answer_too(shop: Shop):
    assert len(shop.recommend("nobody-has-ever-seen-me", 3)["items"]) == 3


def test_helm_test_passes(shop: Shop):
    assert "Succeeded" in shop.cluster.helm("test", "grocery", "-n", shop.namespace)
    assert "Succeeded" in shop.cluster.helm("test", "shoploop", "-n", PLATFORM)


def test_the_doctor_finds_nothing_missing(shop: Shop, monkeypatch, capsys):
    from shoploop.cli import cluster as looking

    for name in ("PATH", "KUBECONFIG"):
        monkeypatch.setenv(name, shop.cluster.env[name])
    assert looking.doctor(namespace=shop.namespace) == 0, capsys.readouterr().out
    assert looking.status(shop.name, namespace=shop.namespace) == 0
    assert shop.recommender()["status"]["version"] in capsys.readouterr().out


def test_more_replicas_are_more_pods_and_nothing_else(shop: Shop):
    deployment = lambda: shop.cluster.get("deployment", "grocery-predictor", "-n", shop.namespace)  # noqa: E731
    before = {pod["metadata"]["uid"] for pod in shop.pods()}
    runs = len(shop.cluster.items("jobs", "-n", shop.namespace))
    shop.patch(serving={"replicas": 3})
    shop.wait_until_ready()
    shop.wait("three pods", lambda: deployment()["status"].get("readyReplicas") == 3)
    assert before <= {pod["metadata"]["uid"] for pod in shop.pods()}
    assert len(shop.cluster.items("jobs", "-n", shop.namespace)) == runs


@pytest.mark.cluster_full
def test_changed_data_are_learned_from_and_the_new_version_serves(shop: Shop):
    before, cluster = shop.recommender()["status"], shop.cluster
    shop.patch(dataCheck={"everyMinutes": 1})

    def looked() -> bool:
        jobs = cluster.items("jobs", "-n", shop.namespace, "-l", "app.kubernetes.io/component=data-check")
        return any(job.get("status", {}).get("succeeded") for job in jobs)

    shop.wait("a look at the data", looked)
    shop.wait_until_ready()
    assert shop.recommender()["status"]["run"] == before["run"]
    again = "f = '/store/data/events.csv'; last = open(f).readlines()[-1]; open(f, 'a').write(last)"
    volumes = {"/store": {"persistentVolumeClaim": {"claimName": "store"}}}
    cluster.run_pod(cluster.pod(shop.namespace, "more-data", "python", "-c", again, volumes=volumes))
    run = lambda: shop.recommender()["status"]["run"]  # noqa: E731
    shop.wait("a run", lambda: run()["trigger"] == "Data", seconds=120)
    shop.patch(dataCheck=None)
    shop.wait("its end", lambda: run()["phase"] == "Succeeded", seconds=300)
    assert run()["version"] != before["version"]
    new = lambda: shop.recommender()["status"]["version"] == run()["version"]  # noqa: E731
    shop.wait("the new version serves", new)
    shop.wait_until_ready()


def test_a_suspended_recommender_keeps_serving_and_starts_no_run(shop: Shop):
    shop.patch(suspend=True, training={"seed": 7})
    found = shop.wait("the new generation", lambda: seen(shop))
    assert len(shop.recommend("1", 2)["items"]) == 2
    assert condition(found, "Progressing")["status"] != "True"
    shop.patch(suspend=False, training={"seed": 0})
    shop.wait_until_ready()


def seen(shop: Shop) -> dict | None:
    found = shop.recommender()
    return found if found["status"]["observedGeneration"] == found["metadata"]["generation"] else None


def test_uninstalling_the_platform_is_refused_while_recommenders_exist(shop: Shop):
    with pytest.raises(Failed) as refused:
        shop.cluster.helm("uninstall", "shoploop", "-n", PLATFORM)
    logs = shop.cluster.kubectl("logs", "-n", PLATFORM, "job/shoploop-uninstall")
    assert "Refused: Recommenders still exist: shop/grocery" in logs + str(refused.value)
    assert "--no-hooks" in logs
    assert shop.cluster.get("deployment", "shoploop-operator", "-n", PLATFORM)["status"]["availableReplicas"] == 1


def test_deleting_a_recommender_leaves_nothing_but_its_store(shop: Shop):
    cluster, where = shop.cluster, ("-n", shop.namespace)
    cluster.kubectl("delete", "recommender", "grocery", *where, "--timeout=120s", timeout=130)

    def left() -> list[str]:
        found = cluster.items(GONE, *where, "-l", "shoploop.io/recommender=grocery")
        found += cluster.items("secrets", *where, "-l", "owner=helm")
        return [f"{one['kind']}/{one['metadata']['name']}" for one in found]

    shop.wait("everything is gone", lambda: not left(), seconds=90)
    assert json.loads(cluster.helm("list", *where, "-o", "json")) == []
    assert cluster.find("pvc", "store", *where)


def test_uninstalling_leaves_only_the_definitions(shop: Shop, cluster: Cluster):
    cluster.helm("uninstall", "shoploop", "-n", PLATFORM)
    selector = "app.kubernetes.io/instance=shoploop,app.kubernetes.io/part-of=shoploop"
    kinds = "deployments,services,serviceaccounts,networkpolicies,roles,rolebindings"
    cluster.wait("all is gone", lambda: not cluster.items(kinds, "-n", PLATFORM, "-l", selector), seconds=60)
    assert not cluster.items("clusterroles,clusterrolebindings", "-l", selector)
    assert cluster.find("customresourcedefinition", "recommenders.shoploop.io")
    assert cluster.find("customresourcedefinition", "modelversions.shoploop.io")
