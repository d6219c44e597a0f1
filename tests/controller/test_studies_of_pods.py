"""A search of settings as objects of a cluster: what Katib's published schema takes, and what its webhook refuses."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from shoploop.api.v1alpha1 import Recommender
from shoploop.cli.tune_on_cluster import OnCluster, study_of
from shoploop.controller.decide import studies
from shoploop.errors import SpecInvalid

SCHEMA = json.loads((Path(__file__).parents[1] / "shared" / "katib_experiment.json").read_text())
DATA = {"tables": {"interactions": {"uri": "events.csv"}}, "claim": "tables"}


@pytest.fixture
def make_study():
    def make(*, name="grocery", trials=8, parallel=3, data=DATA, **training):
        spec = {"data": data, "store": {"uri": "s3://shop/loop"}, "training": training}
        recommender = Recommender.model_validate({"metadata": {"name": name}, "spec": spec})
        asked = OnCluster(parallel=parallel, image="registry.io/pipeline:1", namespace="shop")
        return study_of(recommender, asked, trials=trials, seed=4)

    return make


def everything_in(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from everything_in(inner)


def test_an_experiment_passes_katibs_schema(make_study):
    jsonschema.validate(studies.experiment(make_study())["spec"], SCHEMA)


def test_the_schema_finds_a_field_that_katib_has_not(make_study):
    made = studies.experiment(make_study())["spec"]
    with pytest.raises(jsonschema.ValidationError, match="logarithmic"):
        made["parameters"][0]["feasibleSpace"]["logarithmic"] = "true"
        jsonschema.validate(made, SCHEMA)


def test_an_experiment_keeps_what_katibs_webhook_holds_against_it(make_study):
    """Its rules, from pkg/webhook/v1beta1/experiment/validator of v0.19.0, as far as they concern what is written here."""
    made = studies.experiment(make_study(name="a-shop-whose-name-is-as-long-as-it-may-b", trials=1, parallel=9))
    spec, template = made["spec"], made["spec"]["trialTemplate"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made["metadata"]["name"]) and len(made["metadata"]["name"]) <= 40
    assert spec["parallelTrialCount"] <= spec["maxTrialCount"] and spec["maxFailedTrialCount"] <= spec["maxTrialCount"]
    names = {parameter["name"] for parameter in spec["parameters"]}
    references = [one["reference"] for one in template["trialParameters"]]
    assert len(set(references)) == len(references) and set(references) - {"${trialSpec.Name}"} == names
    text = json.dumps(template["trialSpec"])
    wanted = {f"${{trialParameters.{one['name']}}}" for one in template["trialParameters"]}
    assert set(re.findall(r"\$\{trialParameters\.[^}]*\}", text)) == wanted
    assert not {"name", "namespace"} & set(template["trialSpec"]["metadata"])
    pod = template["trialSpec"]["spec"]["template"]["spec"]
    assert template["primaryContainerName"] in [container["name"] for container in pod["containers"]]
    empty = [found for found in everything_in(template["trialSpec"]) if found in ({}, [])]
    assert empty == [volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume]


def test_early_stopping_waits_as_long_as_the_search_of_this_machine(make_study):
    spec = studies.experiment(make_study())["spec"]
    assert spec["earlyStopping"]["algorithmName"] == "medianstop"
    assert {"name": "min_trials_required", "value": "5"} in spec["earlyStopping"]["algorithmSettings"]
    assert spec["objective"]["metricStrategies"] == [{"name": "ndcg_at_10", "value": "latest"}]


def test_katib_makes_one_line_for_a_shell_of_a_trials_words(make_study):
    made = studies.experiment(make_study(data={"tables": {"interactions": {"uri": "s3://a/b"}}}))
    container = made["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"][0]
    assert "args" not in container, "with args alone Katib asks the registry for the image's command"
    assert all(re.fullmatch(r"[\w@%+=:,./-]+|'[^']*'", word) for word in container["command"])


def test_without_katib_the_trials_are_a_job_that_counts_them(make_study):
    config, job = studies.objects(make_study(), by="jobs")
    assert config["kind"] == "ConfigMap" and job["spec"]["completionMode"] == "Indexed"
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (8, 3)
    assert "--drawn" in job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert job["spec"]["backoffLimitPerIndex"] == 1 and "backoffLimit" not in job["spec"], (
        "one that fails ends no other"
    )


@pytest.mark.parametrize("by", ["katib", "jobs"])
def test_all_trials_wait_in_the_queue_and_get_the_gpu_that_the_spec_names(make_study, by):
    study = make_study(placement={"queue": "team", "priorityClassName": "low"}, resources={"gpu": 1})
    live = studies.objects(study, by=by)[-1]
    job = live["spec"]["trialTemplate"]["trialSpec"] if by == "katib" else live
    for one in (job, studies.conclusion_job(study)):
        assert one["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
        pod = one["spec"]["template"]["spec"]
        assert pod["priorityClassName"] == "low"
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    if by == "jobs":
        assert live["metadata"]["annotations"] == {"kueue.x-k8s.io/job-min-parallelism": "1"}, (
            "a quota for one is enough"
        )


def test_more_trials_of_a_study_are_gathered_anew(make_study):
    study = make_study()
    names = {studies.conclusion_job(study, trials=trials)["metadata"]["name"] for trials in (["a"], ["a", "b"])}
    assert len(names) == 2 and all(len(name) <= 63 for name in names)


def test_a_table_that_no_pod_finds_is_said_before_anything_is_made(make_study):
    with pytest.raises(SpecInvalid, match=r"data\.claim.*shoploop data push"):
        make_study(data={"tables": {"interactions": {"uri": "events.csv"}}})
