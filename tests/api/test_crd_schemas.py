"""The generated definitions are structural, documented and bounded, and nothing that is generated is stale."""

import pytest

from hack.generate import files, main
from shoploop.api import explain
from shoploop.api.crd import definitions, structural
from shoploop.errors import NotFound


def schemas():
    for plural, crd in definitions().items():
        yield plural, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def fields(path, schema):
    for name, inner in schema.get("properties", {}).items():
        if f"{path}.{name}" not in ("recommenders.metadata", "modelversions.metadata"):
            yield f"{path}.{name}", inner
            yield from fields(f"{path}.{name}", inner)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield f"{path}[]", schema[key]
            yield from fields(f"{path}[]", schema[key])


ALL = [field for plural, schema in schemas() for field in fields(plural, schema)]


@pytest.mark.parametrize(("path", "schema"), ALL, ids=[path for path, _ in ALL])
def test_a_field_is_structural(path, schema):
    assert not {"$ref", "anyOf", "allOf", "title", "const", "nullable"} & schema.keys()
    assert not ("properties" in schema and "additionalProperties" in schema)
    assert not isinstance(schema.get("exclusiveMinimum"), float | int) or isinstance(schema["exclusiveMinimum"], bool)


def test_every_field_that_a_person_writes_is_documented():
    assert [path for path, schema in ALL if not path.endswith("[]") and not schema.get("description")] == []


def test_every_number_and_every_choice_is_bounded():
    loose = [
        path
        for path, schema in ALL
        if path.startswith("recommenders.spec")
        and schema.get("type") in ("integer", "number")
        and not {"minimum", "maximum"} <= schema.keys()
    ]
    assert loose == []


def test_replicas_has_no_default_so_that_autoscaling_can_exclude_it():
    schema = dict(ALL)["recommenders.spec.serving.replicas"]
    assert "default" not in schema


def test_conditions_are_a_map_by_type():
    schema = dict(ALL)["recommenders.status.conditions"]
    assert (schema["x-kubernetes-list-type"], schema["x-kubernetes-list-map-keys"]) == ("map", ["type"])


def test_definitions_survive_an_uninstall_and_show_what_people_look_for():
    crd = definitions()["recommenders"]
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    columns = [c["name"] for c in crd["spec"]["versions"][0]["additionalPrinterColumns"] if not c.get("priority")]
    assert columns == ["Ready", "Reason", "Version", "Online lag", "Replicas", "Age"]
    assert set(crd["spec"]["versions"][0]["subresources"]) == {"status", "scale"}


def test_optional_is_absent_and_never_null():
    assert structural({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}) == {"type": "integer"}


def test_an_exclusive_bound_is_a_flag_beside_the_bound():
    schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    assert structural(schema) == {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1}


def test_generated_files_are_up_to_date(capsys):
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_definition_is_a_template_that_helm_can_leave_out():
    text = files()["charts/shoploop/templates/crds/recommenders.yaml"]
    assert "{{- if .Values.crds.install }}" in text


def test_explain_tells_what_a_field_is_for():
    said = explain("recommender.spec.training")
    assert "FIELD: training <Object>" in said
    assert "learningRate\t<number>" in said
    assert "(more than 0; at most 1; default 0.001)" in said


def test_explain_knows_short_names_lists_and_maps():
    assert "KIND:       ModelVersion" in explain("mv")
    assert "percent\t<integer> -required-" in explain("rec.spec.serving.candidate.steps")
    assert "tolerance\t<number>" in explain("recommender.spec.validation.expectations")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("recomender", "There is no kind 'recomender'; did you mean recommender?"),
        ("recommender.spec.trainig", "recommender.spec has no field 'trainig'; did you mean training?"),
        ("recommender.spec.suspend.x", "it has no fields below it"),
        ("", "There is no kind ''"),
    ],
)
def test_explain_proposes_the_nearest_name(path, said):
    with pytest.raises(NotFound) as error:
        explain(path)
    assert said in str(error.value)
