"""A proposal in a person's own YAML: only the numbers change, however it is written."""

import pytest

from shoploop.api.loading import parse
from shoploop.errors import SpecInvalid
from shoploop.tuning.proposal import check_changeable, difference, proposed

HEAD = "apiVersion: shoploop.io/v1alpha1\nkind: Recommender\nmetadata: {name: corner}\n"
FOUND = {"learningRate": 0.00004, "epochs": 7}


@pytest.mark.parametrize(
    "spec",
    [
        "spec:\n  data: {dataset: completejourney}  # ours\n",
        "spec: {data: {dataset: completejourney}}\n",
        "spec:\n  training:\n    # twice is enough\n    epochs: 2  # nights\n    seed: 3\n"
        "  data: {dataset: completejourney}\n",
        "spec:\n  data: {dataset: completejourney}\n  training: {learningRate: 1.0e-3}\n",
        "spec:\n  training: {}\n  data: {dataset: completejourney}\n",
        "spec:\n  data: {dataset: completejourney}\n  training:\n    epochs: 3",
    ],
)
def test_the_numbers_change_and_everything_else_stays(spec):
    before = HEAD + spec
    check_changeable(before, source="corner.yaml")
    after = proposed(before, FOUND, source="corner.yaml")
    training = parse(after).spec.training
    assert (training.learning_rate, training.epochs) == (0.00004, 7)
    assert training.seed == parse(before).spec.training.seed
    for comment in ("# ours", "# twice is enough", "# nights"):
        assert (comment in before) == (comment in after)
    assert "epochs: 7" in difference(before, after, name="corner.yaml")


def test_a_file_that_does_not_say_its_kind_is_changed_too():
    after = proposed("spec: {data: {dataset: completejourney}}\n", FOUND, source="corner.yaml")
    assert parse(after).spec.training.epochs == 7


def test_another_object_in_the_file_is_left_alone():
    secret = "apiVersion: v1\nkind: Secret\nspec: {training: {epochs: 1}}\n---\n"
    after = proposed(secret + HEAD + "spec: {data: {dataset: completejourney}}\n", FOUND, source="both.yaml")
    assert after.startswith(secret)


def test_what_has_no_change_stays_as_it_is():
    before = HEAD + "spec: {data: {dataset: completejourney}}\n"
    assert proposed(before, {}, source="corner.yaml") == before


def test_numbers_that_stand_elsewhere_too_are_for_the_person_to_write():
    shared = "spec:\n  training: &all {epochs: &n 2, seed: *n}\n  data: {dataset: completejourney}\n"
    with pytest.raises(SpecInvalid, match=r"by hand: learningRate: 4e-05, epochs: 7"):
        proposed(HEAD + shared, FOUND, source="corner.yaml")
    with pytest.raises(SpecInvalid, match="so nothing could be proposed"):
        check_changeable(HEAD + shared, source="corner.yaml")


@pytest.mark.parametrize("now", ["epochs: 2", "epochs: 1", "adversarialRadius: 0.1", "learningRate: 1.0"])
def test_any_numbers_can_be_changed_to_others(now):
    check_changeable(f"spec: {{data: {{dataset: completejourney}}, training: {{{now}}}}}\n", source="corner.yaml")
