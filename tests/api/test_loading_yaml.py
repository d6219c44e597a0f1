"""A recommender.yaml is read as the API server would read it, with all problems named at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploop.api import load, parse
from shoploop.errors import SpecInvalid

ROOT = Path(__file__).parents[2]
BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
HEAD = "apiVersion: shoploop.io/v1alpha1\nkind: Recommender\nmetadata: {name: grocery}\n"

SAYS = {
    "autoscaling-reversed": "spec.serving.autoscaling: min must not exceed max",
    "candidate-percent-101": "spec.serving.candidate.percent: should be less than or equal to 99, not 101",
    "confidence-half": "spec.gate.confidence: should be greater than 0.5, not 0.5",
    "cron-three-fields": "spec.schedule.cron: should match pattern",
    "data-check-always": "spec.dataCheck.everyMinutes: should be greater than or equal to 1",
    "empty-surfaces": "spec.training.surfaces: List should have at least 1 item",
    "memory-no-quantity": "spec.training.resources.memory: should match pattern",
    "name-too-long": "metadata.name: should have at most 40 characters",
    "name-upper-case": "metadata.name: 'Grocery' must be lower-case letters",
    "negative-replicas": "spec.serving.replicas: should be greater than or equal to 0, not -1",
    "no-data": "spec.data: this field is required",
    "origin-with-path": "spec.serving.allowedOrigins[0]: should match pattern",
    "column-with-comma": "spec.serving.itemFields[0]: should match pattern",
    "replicas-and-autoscaling": "spec.serving: replicas and autoscaling exclude each other",
    "replicas-in-quotes": "spec.serving.replicas: should be a valid integer, not '2'",
    "sqlite-log-autoscaling": "an online log of type Sqlite serves one pod",
    "sqlite-log-many-pods": "an online log of type Sqlite serves one pod",
    "kafka-on-a-claim": "spec.online.log: claim is for a log of type Sqlite",
    "kafka-with-a-url": "spec.online.log.connection: should match pattern",
    "password-in-an-address": "spec.online: log.connection must hold no username or password",
    "tls-to-a-plain-redis": "spec.online.log: connection redis:// is without TLS",
    "redis-without-address": "spec.online.log: a log of type Redis or Kafka needs connection",
    "sqlite-log-without-learner-many-pods": "an online log of type Sqlite serves one pod",
    "sqlite-with-address": "spec.online.log: a log of type Redis or Kafka needs connection",
    "offers-of-own-tables": "spec.data: offers asks for those of a dataset; your own are the table tables.offers",
    "two-sources": "spec.data: name exactly one of dataset and tables",
    "unknown-field": "spec.trainig: there is no such field; did you mean training?",
    "unknown-nested-field": "spec.serving.replica: there is no such field; did you mean replicas?",
    "unknown-runner": "spec.runner.type: 'Airflow' is not one of Job, KubeflowPipelines",
}


def refused(text: str) -> str:
    with pytest.raises(SpecInvalid) as error:
        parse(text, source="x.yaml")
    return str(error.value)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_spec_is_refused_with_its_path_and_rule(path):
    with pytest.raises(SpecInvalid) as error:
        load(path)
    assert SAYS[path.stem] in str(error.value)


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/recommender.yaml")), ids=lambda path: path.parent.name)
def test_every_example_is_valid(path):
    assert load(path).spec.data


def test_the_smallest_file_is_enough():
    made = parse("spec: {data: {dataset: completejourney}}")
    assert (made.metadata.name, made.spec.training.epochs) == ("recommender", 4)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("training: {epochs: 2}", "  training: it belongs under spec: write it there, indented, as spec.training"),
        ("epochs: 2", "  epochs: it belongs under spec.training: "),
        ("tables: {}", "  tables: it belongs under spec.data: "),
        ("specs: {}", "  specs: there is no such field; did you mean spec?"),
        ("nonsense: 1", "  nonsense: there is no such field"),
    ],
)
def test_a_field_at_the_top_that_belongs_under_spec_is_told_where(field, said):
    assert said in refused(HEAD + f"spec: {{data: {{dataset: completejourney}}}}\n{field}\n")


def test_all_problems_are_named_at_once():
    said = refused(HEAD + "spec: {data: {}, serving: {replicas: -1}, onlin: {}, training: {learning_rate: 1}}")
    assert said.startswith("x.yaml has 4 problems:")
    assert "spec.onlin: there is no such field; did you mean online?" in said
    assert "spec.training.learning_rate: there is no such field; did you mean learningRate?" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# nothing but a comment\n", "is empty"),
        ("- a\n- b", "holds a list, not a mapping"),
        ("grocery", "holds 'grocery', not a mapping"),
        ("a: [", "is no YAML"),
        ("a: 1\na: 2", "key 'a' is written twice, line 2"),
        ("{[a]: 1}", "a key is no plain word"),
        ("a: !!int x", "'x' cannot be read as int, line 1, column 4"),
        ("a: " + "9" * 5000, "cannot be read as int, line 1"),
        ("&a [*a]", "not a mapping"),
        ("spec: &a {b: *a}", "has no place in a Kubernetes object"),
        ("kind: Deployment\nspec: {}", "kind: 'Deployment' is not one of Recommender"),
        ("apiVersion: apps/v1\nspec: {data: {dataset: x}}", "apiVersion: 'apps/v1' should be shoploop.io/v1alpha1"),
        ("spec: [1]", "spec: should be a mapping, not a list"),
        ("spec: {data: {tables: {interactions: {uri: x, columns: {user: 3}}}}}", "should be a name or a list of names"),
    ],
)
def test_what_is_no_recommender_is_refused(text, said):
    assert said in refused(text)


def test_a_field_without_a_value_is_unset_as_in_the_api_server():
    assert parse("spec:\n  data: {dataset: x, tables: }\n  serving:\n").spec.serving.replicas is None


def test_numbers_and_dates_are_read_as_kubectl_reads_them():
    made = parse("spec: {data: {dataset: 2026-01-01}, gate: {margin: 1e-3}, training: {resources: {cpu: 2}}}")
    assert (made.spec.data.dataset, made.spec.gate.margin) == ("2026-01-01", 0.001)
    assert made.spec.training.resources.cpu == "2"


def test_other_objects_in_the_file_are_left_to_kubectl():
    text = "kind: Secret\napiVersion: v1\n---\n" + HEAD + "spec: {data: {dataset: x}}\n---\n"
    assert parse(text).metadata.name == "grocery"


def test_two_recommenders_in_one_file_are_refused():
    one = HEAD + "spec: {data: {dataset: x}}\n"
    assert "holds 2 documents, 2 of them a Recommender" in refused(one + "---\n" + one)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SpecInvalid, match=r"absent\.yaml cannot be read: No such file"):
        load(tmp_path / "absent.yaml")
    (tmp_path / "image.yaml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(SpecInvalid, match="is no text in UTF-8"):
        load(tmp_path / "image.yaml")


@given(st.text())
def test_no_text_breaks_the_reader(text):
    try:
        parse(text)
    except SpecInvalid:
        pass


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["data", "serving", "training", "store", "gate", "schedule"]), json_like))
def test_no_spec_breaks_the_reader(spec):
    import json

    try:
        parse(json.dumps({"spec": spec}))
    except SpecInvalid:
        pass


def test_a_recommender_may_search_from_a_table_of_searches():
    made = parse(
        "spec: {data: {tables: {interactions: {uri: a.csv}, searches: {uri: b.csv, columns: {query: q}}}}, "
        "training: {surfaces: [Items, Search]}}"
    )
    assert made.spec.training.surfaces == ["Items", "Search"]
    assert made.spec.data.tables.searches.uri == "b.csv"


def test_a_surface_that_there_is_not_is_refused_with_those_that_there_are():
    said = refused(HEAD + "spec: {data: {dataset: x}, training: {surfaces: [Items, Serch]}}")
    assert "spec.training.surfaces[1]: 'Serch' is not one of Items, Shops, Search; did you mean Search?" in said
