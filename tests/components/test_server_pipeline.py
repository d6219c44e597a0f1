"""The pipeline as a server of Kubeflow gets it: what it reads of the spec, what its pods are given, and what is refused.

Run as a program, this file writes the golden file anew.
"""

import inspect
import json
from pathlib import Path

import pytest
import quick_compiling  # noqa: F401
import yaml
from kfp import compiler
from pydantic.alias_generators import to_camel

from components.plan_run import plan_run
from pipelines import recommender as pipelines
from shoploop.api.v1alpha1 import GateSpec, Recommender
from shoploop.errors import SpecInvalid
from shoploop.runs.kubeflow import together
from shoploop.runs.kubeflow.placement import check_submittable, task_pods, unversioned, worker_pod
from shoploop.steps import STEPS, settings_of
from shoploop.steps.parameters import arguments_of, parameters, recommender_of

GOLDEN = Path(__file__).parent / "golden_server_pipeline.yaml"
HANDED_OVER = Path(__file__).parent / "golden_train_on_two_machines.yaml"
FULL = {
    "store": {
        "uri": "s3://shop/loop", "endpoint": "http://seaweedfs:8333", "region": "eu-central-1",
        "secretRef": {"name": "s3-keys"}, "caRef": {"name": "corp-ca", "key": "root.pem"},
    },
    "data": {"tables": {"interactions": {"uri": "events/*.parquet"}}, "claim": "shop-files"},
    "training": {
        "epochs": 7,
        "resources": {"cpu": "2", "memory": "8Gi", "gpu": 1},
        "placement": {
            "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
            "queue": "team",
        },
    },
    "signing": {"privateKey": {"name": "signing"}},
    "images": {"registry": "registry.example.com/shop", "pullSecrets": ["registry"]},
    "runner": {
        "type": "KubeflowPipelines", "serviceAccount": "runner", "image": "shoploop-pipeline:1.2.3", "timeoutMinutes": 90,
        "retries": 2, "accelerator": "amd.com/gpu", "volumes": [{"claim": "models", "path": "/mnt/models"}],
        "secrets": [{"name": "database", "keys": ["PGPASSWORD"]}],
        "steps": {"train_fused": {"image": "shoploop-pipeline-cuda:1.2.3", "memory": "16Gi", "timeoutMinutes": 600,
                                  "retries": 0}},
    },
}  # fmt: skip


def recommender(**spec):
    return Recommender.model_validate(
        {"metadata": {"name": "shop"}, "spec": {"data": {"dataset": "completejourney"}} | spec}
    )


def compiled(found, folder):
    """Both documents of the compiled file: what is run, and what Kubernetes is told."""
    compiler.Compiler().compile(pipelines.server_pipeline(found), str(folder / "pipeline.yaml"))
    return list(yaml.load_all((folder / "pipeline.yaml").read_text(), yaml.CSafeLoader))


def without_sources(documents):
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        executor["container"].pop("command")
    return documents


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return compiled(recommender(**FULL), tmp_path_factory.mktemp("compiled"))


def executor(documents, task):
    label = f"exec-{task.replace('_', '-')}"
    return (
        documents[0]["deploymentSpec"]["executors"][label]["container"],
        documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"][label],
    )


def test_the_compiled_pipeline_is_as_it_was(full):
    golden = list(yaml.load_all(GOLDEN.read_text(), yaml.CSafeLoader))
    said = "It has changed: if that is meant, run `python tests/components/test_server_pipeline.py`"
    assert without_sources(json.loads(json.dumps(full))) == golden, said


def test_all_steps_are_there_between_a_plan_and_a_version_and_the_end_is_recorded_whatever_happens(full):
    root = full[0]["root"]["dag"]["tasks"]
    inner = full[0]["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert set(root) == {"exit-handler-1", "record-end"}
    assert root["record-end"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert set(inner) == {step.replace("_", "-") for step in STEPS} | {"plan-run", "publish-version"}
    for step in STEPS:
        given = inner[step.replace("_", "-")]["inputs"]["parameters"]
        assert given["due"]["taskOutputParameter"] == {"outputParameterKey": step, "producerTask": "plan-run"}
        assert given["place"]["taskOutputParameter"]["outputParameterKey"] == "place"
    uncached = {name for name, task in (root | inner).items() if not task.get("cachingOptions", {}).get("enableCache")}
    assert uncached == {"plan-run", "publish-version", "record-end", "exit-handler-1"}


def test_parameters_are_the_specs_fields_with_their_defaults_and_their_words(full):
    known = full[0]["root"]["inputDefinitions"]["parameters"]
    own = {"recommender", "run", "promotes"}
    assert set(known) == {one.name for one in parameters()} | own
    for one in parameters():
        assert known[one.name]["description"] == one.says
    assert all(known[name]["description"] for name in own)
    assert known["epochs"]["defaultValue"] == 7.0
    planned = inspect.signature(plan_run.python_func).parameters
    for one in parameters():
        assert (planned[one.name].default, planned[one.name].annotation) == (one.default, one.kind), one.name
    paths = {one.path for one in parameters()}
    for step in STEPS.values():
        for path in step.settings:
            fields = {f"gate.{to_camel(name)}" for name in GateSpec.model_fields} if path == "gate" else {path}
            assert fields <= paths, path


@pytest.mark.parametrize(
    "spec",
    [
        {},
        FULL,
        {
            "data": {
                "tables": {"interactions": {"uri": "s3://lake/e", "columns": {"user": "who"}, "maxEventsPerUser": 500}}
            },
            "training": {"evaluationDays": 7, "seed": 3, "surfaces": ["Items", "Search"], "learningRate": 0.01},
            "augmentation": {"mode": "Always", "differentialPrivacy": {"epsilon": 8}},
            "importance": {"estimator": "None"},
            "gate": {"rule": "Better", "maxAgeDays": 30, "counterfactual": True},
            "serving": {"exploration": {"share": 0.5}, "listRules": {"maxPerCategory": 3}, "itemFields": []},
        },
    ],
    ids=["defaults", "placed", "everything"],
)
def test_parameters_say_what_the_spec_says_after_a_journey_through_json_floats(spec):
    before = recommender(**spec)
    floats = json.loads(json.dumps(arguments_of(before.spec)), parse_int=float)
    after = recommender_of(pipelines.document_of(before), floats)
    for step in STEPS.values():
        assert settings_of(after.spec, step) == settings_of(before.spec, step), step.name
    assert after.spec.store == before.spec.store and after.metadata.name == "shop"


def test_parameters_that_break_a_rule_of_the_spec_are_named():
    given = arguments_of(recommender().spec)
    with pytest.raises(SpecInvalid, match=r"spec\.training\.epochs"):
        recommender_of({}, given | {"epochs": 0.0})
    with pytest.raises(SpecInvalid, match="holds no spec"):
        recommender_of({"spec": []}, given)


def test_a_small_run_differs_in_what_takes_time_and_not_in_the_gate():
    spec = recommender(training={"epochs": 9}).spec
    small, whole = arguments_of(spec, "small"), arguments_of(spec)
    assert (small["epochs"], small["augmentation"], small["importance_estimator"]) == (1, {"mode": "Never"}, "None")
    assert {name for name in whole if whole[name] != small[name]} == {"epochs", "augmentation", "importance_estimator"}
    recommender_of({}, small)


def test_a_pod_is_given_what_the_spec_says_and_no_other_step_holds_a_gpu(full):
    container, pod = executor(full, "train_fused")
    assert container["image"] == "registry.example.com/shop/shoploop-pipeline-cuda:1.2.3"
    resources = container["resources"]
    assert (resources["resourceCpuRequest"], resources["resourceMemoryLimit"]) == ("2", "16Gi")
    assert (resources["accelerator"]["resourceType"], resources["accelerator"]["resourceCount"]) == ("amd.com/gpu", "1")
    assert pod["activeDeadlineSeconds"] == "36000"
    assert pod["nodeSelector"]["labels"] == {"disk": "fast"}
    assert {one["key"] for one in pod["tolerations"]} == {"batch", "amd.com/gpu"}
    assert {one["mountPath"] for one in pod["pvcMount"]} == {"/mnt/models", "/var/lib/shoploop-data"}
    assert [one["secretName"] for one in pod["secretAsEnv"]] == ["s3-keys", "database"]
    assert pod["imagePullSecret"][0]["secretName"] == "registry"
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["AWS_ENDPOINT_URL"] == "http://seaweedfs:8333"
    task = full[0]["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert "retryPolicy" not in task["train-fused"] and task["gate"]["retryPolicy"]["maxRetryCount"] == 2
    with_gpu = {step for step in STEPS if "accelerator" in executor(full, step)[0]["resources"]}
    assert with_gpu == {step.name for step in STEPS.values() if step.gpu}
    signing = {
        one: [mounted["secretName"] for mounted in executor(full, one)[1]["secretAsVolume"]]
        for one in (*STEPS, "publish_version")
    }
    assert [name for name, mounted in signing.items() if "signing" in mounted] == ["publish_version"]


CA_VARIABLES = {"SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}


def test_every_pod_knows_the_authority_that_the_store_is_known_by(full):
    for task in task_pods(recommender()):
        container, pod = executor(full, task)
        (folder,) = (one["mountPath"] for one in pod["secretAsVolume"] if one["secretName"] == "corp-ca")
        told = {one["value"] for one in container["env"] if one["name"] in CA_VARIABLES}
        assert told == {f"{folder}/root.pem"}, task
    assert not CA_VARIABLES & set(task_pods(recommender())["gate"].variables)


def test_machines_that_train_together_know_the_stores_authority():
    spec = recommender(**FULL | {"training": FULL["training"] | {"nodes": 2}})
    runtime, _ = together.objects(spec, "train_fused", place={}, run="run-1", key="k")
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    (volume,) = (one["name"] for one in pod["volumes"] if one.get("secret") == {"secretName": "corp-ca"})
    (folder,) = (one["mountPath"] for one in pod["containers"][0]["volumeMounts"] if one["name"] == volume)
    told = {one["value"] for one in pod["containers"][0]["env"] if one["name"] in CA_VARIABLES}
    assert told == {f"{folder}/root.pem"}


def test_a_secret_that_holds_the_key_and_the_authority_is_mounted_once():
    both = {"name": "all"}
    spec = recommender(store={"uri": "s3://shop/loop", "caRef": both}, signing={"privateKey": both})
    pod = task_pods(spec)["publish_version"]
    ((_, folder),) = pod.secret_files
    assert pod.variables["SSL_CERT_FILE"] == f"{folder}/ca.crt"
    assert pod.variables["SHOPLOOP_SIGNING_KEY"] == f"{folder}/private.pem"


def test_every_pod_that_computes_is_in_the_queue_that_the_spec_names(full):
    for task in task_pods(recommender()):
        assert executor(full, task)[1]["podMetadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "team"}, task


def test_a_pod_that_waits_for_machines_takes_no_room_in_the_queue_that_they_wait_in():
    spec = recommender(**FULL | {"training": FULL["training"] | {"nodes": 2}})
    assert task_pods(spec)["train_fused"].labels == {}
    assert worker_pod(spec, "train_fused").labels == {}  # their TrainJob is in it, as a whole
    assert task_pods(spec)["gate"].labels == {"kueue.x-k8s.io/queue-name": "team"}


def test_machines_that_train_together_have_the_priority_that_kubeflows_own_pods_cannot_have():
    spec = recommender(
        training={"nodes": 2, "placement": {"priorityClassName": "high"}}, store={"uri": "s3://shop/loop"}
    )
    check_submittable(spec)
    runtime, _ = together.objects(spec, "train_fused", place={}, run="run-1", key="k")
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["template"]["spec"]["template"]["spec"]["priorityClassName"] == "high"


def train_on_two_machines(folder):
    """The pod of the training step, where two machines train."""
    found = recommender(**FULL | {"training": FULL["training"] | {"nodes": 2}})
    container, pod = executor(compiled(found, folder), "train_fused")
    container.pop("command")
    return {"container": container, "kubernetes": pod}


def test_where_several_machines_train_the_task_holds_no_gpu_and_knows_who_it_is(tmp_path):
    made = train_on_two_machines(tmp_path)
    assert "accelerator" not in made["container"]["resources"]
    assert made["container"]["resources"]["resourceCpuRequest"] == "100m"
    fields = {one["name"]: one["fieldPath"] for one in made["kubernetes"]["fieldPathAsEnv"]}
    assert (fields["SHOPLOOP_POD"], fields["SHOPLOOP_POD_UID"]) == ("metadata.name", "metadata.uid")
    assert made == yaml.safe_load(HANDED_OVER.read_text()), "if that is meant, run this file as a program"


def test_no_secret_is_a_parameter_and_every_image_has_a_version(full):
    text = json.dumps(full[0]["root"])
    assert "PGPASSWORD" not in text.replace('"keys": ["PGPASSWORD"]', "")
    for one in full[0]["deploymentSpec"]["executors"].values():
        assert unversioned(one["container"]["image"]) is None


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"data": {"tables": {"interactions": {"uri": "events.csv"}}}}, r"events\.csv', a path of this machine.*data push"),
        ({"data": {"tables": {"interactions": {"uri": "/home/me/e.csv"}}}}, "lies on no volume of the pods"),
        ({"data": {"tables": {"interactions": {"uri": "duckdb:///shop.db"}}}}, "a path of this machine"),
        ({"data": {"tables": {"interactions": {"uri": "postgresql://me:geheim@db/shop", "table": "e"}}}}, "holds a password"),
        ({"runner": {"steps": {"train": {}}}}, "spec.runner.steps names 'train'; there are plan_run, load_data"),
        ({"runner": {"image": "shoploop-pipeline"}}, "without a tag"),
        ({"runner": {"image": "shoploop-pipeline:latest"}}, "names no version"),
        ({"runner": {"steps": {"gate": {"image": "x y"}}}}, "no image reference"),
        ({"training": {"placement": {"priorityClassName": "high"}}}, "priorityClassName is 'high'.*name a queue"),
        ({"store": {"uri": "hdfs://x/y"}}, r"spec\.store\.uri"),
    ],
)  # fmt: skip
def test_what_pods_cannot_do_is_refused_with_what_to_do(spec, says):
    with pytest.raises(SpecInvalid, match=says) as told:
        check_submittable(recommender(**spec))
    assert "geheim" not in str(told.value)


def test_all_that_is_wrong_is_named_at_once(tmp_path, capsys):
    file = tmp_path / "recommender.yaml"
    file.write_text("spec: {data: {tables: {interactions: {uri: a.csv}, items: {uri: b.csv}}}}")
    assert pipelines.main(["-f", str(file), str(tmp_path / "out.yaml")]) == 2
    assert "a.csv" in (said := capsys.readouterr().err) and "b.csv" in said
    assert not (tmp_path / "out.yaml").exists()


def test_a_digest_is_a_version_and_so_is_a_tag_behind_a_registrys_port():
    assert unversioned(f"shoploop@sha256:{'0' * 64}") is None
    assert unversioned("localhost:5000/shoploop:1.0") is None
    assert unversioned("localhost:5000/shoploop") == "without a tag"


def test_a_store_that_is_a_folder_lies_on_a_claim_named_after_the_recommender():
    assert {claim.name for claim in task_pods(recommender())["load_data"].claims} == {"shop-store"}
    named = recommender(store={"claim": "mine"})
    assert {claim.name for claim in task_pods(named)["load_data"].claims} == {"mine"}
    assert task_pods(recommender(store={"uri": "s3://a/b"}))["load_data"].claims == ()


def test_it_compiles_to_objects_for_kubectl_too(tmp_path):
    assert pipelines.main(["--manifests", "team", str(tmp_path / "out.yaml")]) == 0
    objects = list(yaml.load_all((tmp_path / "out.yaml").read_text(), yaml.CSafeLoader))
    assert [one["kind"] for one in objects] == ["Pipeline", "PipelineVersion"]
    assert {one["metadata"]["namespace"] for one in objects} == {"team"}
    assert objects[1]["metadata"]["name"].startswith("recommender-sha256-")


def main() -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        documents = without_sources(compiled(recommender(**FULL), Path(folder)))
        handed_over = train_on_two_machines(Path(folder))
    GOLDEN.write_text(yaml.safe_dump_all(documents, width=120))
    HANDED_OVER.write_text(yaml.safe_dump(handed_over, width=120))


if __name__ == "__main__":
    main()
