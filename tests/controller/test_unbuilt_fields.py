"""A field that is not built yet is refused by one list with the same words, wherever the spec is carried out."""

import json
from pathlib import Path

import pytest
import yaml
from worlds import condition, message

from shoploop.api.unbuilt import LIMITS, described, is_built, unbuilt
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import SpecInvalid
from shoploop.runs import ThisMachine, new_run, pod_verbs
from shoploop.store import Store

ROOT = Path(__file__).parents[2]
ASKS = {
    "store.uri": {"store": {"uri": "ftp://shop"}},
    "training.surfaces": {"training": {"surfaces": ["Shops"]}},
}
"""By field: the smallest spec that goes beyond what is built."""

ON_A_CLUSTER = [limit.field for limit in LIMITS if "Cluster" in limit.places]
ON_A_MACHINE = [limit.field for limit in LIMITS if "Machine" in limit.places]


def recommender(**spec):
    return Recommender.model_validate(
        {"metadata": {"name": "grocery"}, "spec": {"data": {"dataset": "completejourney"}} | spec}
    )


def on_this_machine(asked, folder) -> str:
    with pytest.raises(SpecInvalid) as refused:
        ThisMachine(Store(str(folder / "store"))).launch(new_run(asked))
    return str(refused.value)


def in_a_pod(asked, folder, capsys) -> str:
    """The last line of its log, which Kubernetes keeps where a container leaves no message of its own."""
    file = folder / "spec.json"
    file.write_text(json.dumps(asked.model_dump(mode="json", by_alias=True, exclude_none=True)))
    arguments = ["--steps", "load_data", "--spec", str(file), "--run", "r", "--work", str(folder / "work")]
    assert pod_verbs.main(["run", *arguments, "--store", str(folder / "store")]) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("shoploop: ")


def test_there_is_an_example_of_every_field_that_is_refused():
    assert sorted(ASKS) == sorted(limit.field for limit in LIMITS)


@pytest.mark.parametrize("field", ON_A_CLUSTER)
def test_the_operator_refuses_with_the_words_of_the_one_list(field, make_recommender, make_version, plan):
    words = described(unbuilt(recommender(**ASKS[field]).spec, place="Cluster"))
    assert f"spec.{field}" in words
    made = plan(make_recommender(**ASKS[field]), make_version())
    assert (condition(made, "Ready"), message(made, "Ready")) == (("False", "NotBuilt"), words)
    assert not made.apply and made.release is None


@pytest.mark.parametrize("field", ON_A_CLUSTER)
def test_a_pod_refuses_with_the_same_words(field, tmp_path, capsys):
    asked = recommender(**ASKS[field])
    assert in_a_pod(asked, tmp_path, capsys) == described(unbuilt(asked.spec, place="Cluster"))


@pytest.mark.parametrize("field", ON_A_MACHINE)
def test_this_machine_refuses_with_the_same_words(field, tmp_path):
    asked = recommender(**ASKS[field])
    assert on_this_machine(asked, tmp_path) == described(unbuilt(asked.spec, place="Cluster"))


def test_every_field_is_named_at_once():
    asked = recommender(store={"uri": "ftp://shop"}, training={"surfaces": ["Shops"]})
    assert described(unbuilt(asked.spec, place="Kubeflow")) == (
        "Not built yet: spec.store.uri (name a folder, or file://, s3://, gs:// or az://, in a new Recommender: it cannot be "
        "changed); spec.training.surfaces (name Items among them: [Items], or with Search and Shops beside it)."
    )


@pytest.mark.parametrize("surfaces", [["Items"], ["Search", "Items"], ["Items", "Search", "Shops"]])
def test_a_model_that_recommends_may_answer_queries_and_choose_shops_too(surfaces):
    asked = recommender(training={"surfaces": surfaces})
    assert unbuilt(asked.spec, place="Machine") == unbuilt(asked.spec, place="Cluster") == []


@pytest.mark.parametrize("surfaces", [["Search"], ["Shops"], ["Search", "Shops"]], ids=lambda it: "-".join(it))
def test_surfaces_without_recommendations_are_refused_by_name(surfaces, tmp_path):
    said = on_this_machine(recommender(training={"surfaces": surfaces}), tmp_path)
    advice = "name Items among them: [Items], or with Search and Shops beside it"
    assert said == f"Not built yet: spec.training.surfaces ({advice})."


@pytest.mark.parametrize("place", ["Machine", "Cluster", "Kubeflow"])
def test_several_machines_are_no_matter_on_one_and_train_on_a_cluster(place):
    assert unbuilt(recommender(training={"nodes": 2}).spec, place=place) == []
    assert is_built("training.nodes", 2, place=place)


@pytest.mark.parametrize("uri", [".shoploop", "/srv/store", "file:///srv", "s3://b/p", "gs://b", "az://b"])
def test_a_store_that_pods_can_reach_is_not_refused(uri):
    assert unbuilt(recommender(store={"uri": uri}).spec, place="Cluster") == []


@pytest.mark.parametrize("limit", [limit for limit in LIMITS if limit.field != "store.uri"], ids=lambda it: it.field)
def test_what_a_refusal_says_to_write_instead_is_not_refused(limit):
    section, name = limit.field.split(".")
    asked = ASKS[limit.field]
    mended = asked | {section: {key: value for key, value in asked[section].items() if key != name}}
    if limit.instead is not None:
        mended[section][name] = limit.instead
        assert str(yaml.safe_dump(limit.instead, default_flow_style=True).split("\n")[0]) in limit.advice
    assert unbuilt(recommender(**mended).spec, place="Cluster") == []


@pytest.mark.parametrize("field", [field for field in ON_A_CLUSTER if field != "store.uri"])
def test_the_reference_says_of_every_such_field_that_it_is_not_built(field):
    reference = (ROOT / "docs/reference.md").read_text()
    (line,) = [line for line in reference.splitlines() if line.startswith(f"| `spec.{field}`")]
    assert "not built yet" in line.lower()


def test_a_default_spec_asks_for_nothing_that_is_not_built():
    assert unbuilt(recommender().spec, place="Machine") == unbuilt(recommender().spec, place="Cluster") == []
