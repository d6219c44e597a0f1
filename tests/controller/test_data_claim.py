"""A table with a relative path is read from spec.data.claim; without one nobody starts a pod for it."""

import json

import pytest
from worlds import condition, message

from shoploop.api.places import is_relative, relative_uris
from shoploop.api.pods import DATA_MOUNT
from shoploop.api.v1alpha1 import DataSpec, RecommenderSpec
from shoploop.controller.decide import manifests as runs
from shoploop.data import resolve_uris
from shoploop.runs import pod, pod_verbs

CHECKED = {"dataCheck": {"everyMinutes": 60}}


def data(uri="events.csv", **more):
    return {"tables": {"interactions": {"uri": uri}}} | more


@pytest.mark.parametrize(
    ("uri", "relative"),
    [
        ("events.csv", True),
        ("lake/*.parquet", True),
        ("duckdb:///shop.db", True),
        ("/srv/events.csv", False),
        ("~/events.csv", False),
        ("s3://lake/events.csv", False),
        ("file:///srv/events.csv", False),
        ("duckdb:////srv/shop.db", False),
        ("postgresql://db/shop", False),
    ],
)
def test_relative_is_what_a_folder_has_to_be_named_for(uri, relative, tmp_path):
    assert is_relative(uri) is relative
    spec = DataSpec.model_validate(data(uri))
    assert bool(relative_uris(spec)) is relative
    resolved = resolve_uris(spec, tmp_path).tables.interactions.uri
    assert (str(tmp_path) in resolved) is relative  # the operator and the laptop agree


def test_without_a_claim_the_operator_says_so_and_starts_nothing(make_recommender, plan):
    made = plan(make_recommender(data=data()))
    assert condition(made, "Ready") == ("False", "DataClaimMissing")
    told = message(made, "Ready")
    assert "spec.data.tables.interactions.uri is 'events.csv'" in told
    assert "spec.data.claim" in told and "shoploop data push -f recommender.yaml" in told
    assert made.apply == () and "run" not in made.status
    assert [event.reason for event in made.events] == ["DataClaimMissing"]
    assert made.requeue_seconds


def test_what_serves_goes_on_serving_meanwhile(make_recommender, make_version, make_release, settings, plan):
    recommender, version = make_recommender(data=data()), make_version()
    release = make_release(recommender, version, settings)
    made = plan(recommender, version, releases=(release,))
    assert condition(made, "Ready")[1] == "DataClaimMissing"
    assert made.release is None and made.delete == ()


@pytest.mark.parametrize("uri", ["s3://lake/events.csv", "/srv/events.csv"])
def test_places_of_their_own_need_no_claim(make_recommender, plan, uri):
    made = plan(make_recommender(data=data(uri)))
    assert made.status["run"]["phase"] == "Running"


def test_a_pod_finds_the_claims_files_where_it_counts_relative_paths_from(make_recommender, plan):
    made = plan(make_recommender(data=data(claim="shop-files")))
    (job,) = [thing for thing in made.apply if thing["kind"] == "Job"]
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "shop-files"}} in spec["volumes"]
    assert {"name": "data", "mountPath": DATA_MOUNT, "readOnly": True} in container["volumeMounts"]
    assert container["args"][container["args"].index("--data-root") + 1] == DATA_MOUNT


def test_a_pod_that_looks_at_the_data_finds_them_too(make_recommender, settings):
    recommender = make_recommender(data=data(claim="shop-files"), **CHECKED)
    spec = RecommenderSpec.model_validate(recommender["spec"])
    (container,) = runs.check_job(recommender, spec, settings, "look")["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--data-root", DATA_MOUNT]
    assert "data" in {mount["name"] for mount in container["volumeMounts"]}


def test_a_claim_that_nothing_is_read_from_is_mounted_nowhere(make_recommender, plan):
    made = plan(make_recommender(data=data("s3://lake/events.csv", claim="shop-files")))
    (job,) = [thing for thing in made.apply if thing["kind"] == "Job"]
    assert "shop-files" not in json.dumps(job) and "--data-root" not in json.dumps(job)


def test_a_pod_reads_relative_paths_from_the_folder_that_it_is_told(tmp_path, monkeypatch):
    claim = tmp_path / "claim"
    claim.mkdir()
    (claim / "events.csv").write_text("user,item,time\nann,tea,2024-05-01\n")
    told = tmp_path / "told"
    monkeypatch.setenv(pod_verbs.TERMINATION_LOG, str(told))
    monkeypatch.chdir(tmp_path)
    arguments = ["source", "--data", json.dumps(data())]
    assert pod_verbs.main([*arguments, "--data-root", str(claim)]) == 0
    assert json.loads(told.read_text())["source"]
    assert pod_verbs.main(arguments) == 2
    assert "events.csv does not exist" in told.read_text()


def test_the_steps_of_a_run_read_them_there(tmp_path, monkeypatch):
    from shoploop.api import parse

    recommender = parse("spec: {data: {claim: files, tables: {interactions: {uri: events.csv}}}}")
    there = pod.at_root(recommender, tmp_path).spec.data.tables.interactions.uri
    assert there == str(tmp_path / "events.csv")
    assert pod.at_root(recommender, None) == recommender
