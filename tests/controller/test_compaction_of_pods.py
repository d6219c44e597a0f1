"""What was collected becomes interactions on a cluster, turn by turn, by a pod that can read the log."""

import pytest
from worlds import NOW, condition, message

SECRETS = {"impressions": frozenset({"1.key"}), "redis": frozenset({"password"}), "ca": frozenset({"ca.crt"})}
REDIS = {
    "type": "Redis",
    "connection": "redis:6379",
    "secretRef": {"name": "redis"},
    "tls": {"caRef": {"name": "ca"}},
}
VERSION = "v000000000001"


@pytest.fixture
def collected(make_recommender, make_version, make_release, make_deployment, plan, settings):
    """What is decided while a version serves whose predictors collect events."""

    def decide(*objects, log=REDIS, now=NOW, serving=None, **spec):
        online = {"log": log, "keys": {"impressions": {"name": "impressions"}}, "compactEveryMinutes": 30}
        recommender = make_recommender(online=online, serving=serving or {}, status={"version": VERSION}, **spec)
        version = make_version(VERSION)
        release = make_release(recommender, version, settings)
        world = {"releases": (release,), "feedback_secrets": SECRETS, "now": now}
        return plan(recommender, version, make_deployment(), *objects, **world)

    return decide


def jobs(made):
    return [one for one in made.apply if "-compact-" in one["metadata"]["name"]]


def told(job, state):
    meta = job["metadata"] | {"uid": "job"}
    return job | {"metadata": meta, "status": {"conditions": [{"type": state, "status": "True", "message": "no log"}]}}


def test_each_turn_has_one_job_which_reads_the_log_as_the_spec_says(collected):
    made = collected()
    (job,) = jobs(made)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][1:4] == ["-m", "shoploop.runs", "compact"]
    assert any('"connection":"redis:6379"' in word for word in container["args"])
    (volume,) = (one["projected"] for one in pod["volumes"] if one["name"] == "log-access")
    assert [source["secret"]["name"] for source in volume["sources"]] == ["redis", "ca"]
    assert "/etc/shoploop/log" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert made.requeue_seconds <= 30 * 60 + 1
    assert jobs(collected(told(job, "Complete"))) == []


def test_of_the_secret_of_a_redis_that_is_brought_the_pod_takes_the_password_alone(collected):
    """That Redis knows no user of the name that may lie beside it."""
    (job,) = jobs(collected(log={"type": "Redis", "bring": {}, "secretRef": {"name": "redis"}}))
    (volume,) = (one["projected"] for one in job["spec"]["template"]["spec"]["volumes"] if one["name"] == "log-access")
    items = [{"key": "password", "path": "password"}]
    assert volume["sources"] == [{"secret": {"name": "redis", "items": items}}]


def test_the_next_turn_has_another_and_the_one_before_goes(collected):
    (job,) = jobs(collected())
    later = collected(told(job, "Complete"), now=NOW.replace(hour=13))
    (other,) = jobs(later)
    assert other["metadata"]["name"] != job["metadata"]["name"]
    assert ("Job", job["metadata"]["name"]) in later.delete


def test_one_that_takes_its_time_is_not_followed_by_a_second(collected):
    (job,) = jobs(collected())
    active = job | {"metadata": job["metadata"] | {"uid": "job"}}
    later = collected(active, now=NOW.replace(hour=13))
    assert jobs(later) == [] and later.delete == ()


def test_one_that_fails_is_told_and_who_serves_goes_on(collected):
    (job,) = jobs(collected(gate={"maxAgeDays": 100}))
    made = collected(told(job, "Failed"), gate={"maxAgeDays": 100})
    assert condition(made, "Degraded") == ("True", "CompactionFailed")
    assert "no log" in message(made, "Degraded") and condition(made, "Ready")[0] == "True"


def test_the_file_of_a_log_is_read_on_the_node_of_the_pod_that_serves(collected):
    (job,) = jobs(collected(log={"type": "Sqlite"}, serving={"replicas": 1}))
    pod = job["spec"]["template"]["spec"]
    assert {"name": "events", "persistentVolumeClaim": {"claimName": "grocery-events"}} in pod["volumes"]
    (near,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert near["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "predictor"


@pytest.mark.parametrize("spec", [{"data": {"dataset": "completejourney", "feedback": False}}, {"suspend": True}])
def test_where_nobody_is_to_learn_from_it_nothing_is_done(collected, spec):
    assert jobs(collected(**spec)) == []
