"""A search of settings on the shared shop: what it looks at, what it keeps, what it says."""

import json
import re

import numpy as np
import optuna
import pytest
from shop import Shop
from shop.samples import split_visits, write_folders

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.errors import ArtifactForeign, TooFewEvents
from shoploop.features.contract import Contract
from shoploop.samples.files import read_samples
from shoploop.tuning import katib, search
from shoploop.tuning.settings import changed, present, space, tidy
from shoploop.tuning.study import AnotherTune, Study, alone, drawn
from shoploop.tuning.visits import part_visits

pytestmark = pytest.mark.usefixtures("one_thread")

NOW = present(TrainingSpec())


def study(folder, seed=0):
    return Study(folder, space(TrainingSpec()), first=NOW, seed=seed)


def nearer(settings, tell):
    """The nearer the learning rate to .004 the better, as the losses say from the first epoch on."""
    worse = abs(np.log(settings["learningRate"] / 4e-3))
    for _ in range(3):
        tell(worse)
    return np.array([-worse, np.nan])


def test_the_first_trial_is_what_the_spec_says_now(tmp_path):
    assert study(tmp_path).next(nearer)["settings"] == NOW


def test_the_same_seed_asks_the_same_trials_also_where_it_was_broken_off(tmp_path):
    whole = study(tmp_path / "whole")
    for _ in range(9):
        whole.next(nearer)
    for _ in range(3):  # a new process each time
        broken = study(tmp_path / "broken")
        for _ in range(3):
            broken.next(nearer)

    def broken_off(settings, tell):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.next(broken_off)
    again = study(tmp_path / "broken")
    asked = [[(t["settings"], t["state"], t["value"]) for t in of.trials] for of in (whole, again)]
    assert asked[0] == asked[1] and len(asked[0]) == 9
    other = study(tmp_path / "other", seed=1)
    assert [other.next(nearer)["settings"] for _ in range(3)][1:] != [t["settings"] for t in whole.trials[1:3]]


def test_a_training_that_falls_behind_is_ended_before_its_last_epoch_but_never_what_the_spec_says_now(tmp_path):
    found = study(tmp_path)
    for _ in range(5):
        found.next(nearer)

    def hopeless(settings, tell):
        for _ in range(9):
            tell(100.0)
        raise AssertionError("it was to be ended")

    trial = found.next(hopeless)
    assert trial["state"] == "pruned" and len(trial["losses"]) < 9
    assert Study.best_of(found.trials)["state"] == "done"
    with pytest.raises(AssertionError):
        study(tmp_path / "new").next(hopeless)


def test_a_search_finds_what_is_better_where_something_is(tmp_path):
    found = study(tmp_path)
    for _ in range(15):
        found.next(nearer)
    assert Study.best_of(found.trials)["value"] > found.trials[0]["value"]


def test_a_trial_that_cannot_be_read_is_named(tmp_path):
    study(tmp_path).next(nearer)
    (tmp_path / "trial-00000.json").write_text("{")
    with pytest.raises(ArtifactForeign, match=r"trial-00000\.json"):
        study(tmp_path)


def test_two_searches_do_not_share_a_folder(tmp_path):
    with alone(tmp_path), pytest.raises(AnotherTune, match="shoploop tune"), alone(tmp_path):
        pass


def test_all_that_can_be_asked_for_is_a_valid_spec():
    for training in (TrainingSpec(), TrainingSpec(learning_rate=1.0, epochs=1000, adversarial_radius=1.0)):
        assert all(of.low <= present(training)[name] <= of.high for name, of in space(training).items())
        for end in ("low", "high"):
            changed(training, tidy({name: getattr(of, end) for name, of in space(training).items()}))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_folders(tmp_path_factory.mktemp("shop"), Shop(users=40))


def test_no_user_is_learned_from_and_judged_by(folders):
    train, validation = (read_samples(folders / "samples", Contract(), split) for split in ("train", "validation"))
    parts = part_visits(train, validation, seed=0)
    users = [set(part.users_Q.tolist()) for part in (parts.train, parts.choosing, parts.proving)]
    assert not users[0] & users[1] and not users[0] & users[2] and not users[1] & users[2]
    assert not set(parts.validation.users_Q.tolist()) & (users[1] | users[2])


def test_too_few_visits_to_judge_by_are_said():
    split = split_visits(Shop())
    few = split["train"].select(range(30))
    with pytest.raises(TooFewEvents, match="trainingDays"):
        part_visits(few, split["validation"], seed=0)


def searched(folders, folder, trials, **more):
    return search.tune(
        features=folders / "features",
        samples=folders / "samples",
        folder=folder,
        training_spec=TrainingSpec(epochs=1, learning_rate=1e-4),
        trials=trials,
        **more,
    )


@pytest.fixture(scope="module")
def tuned(folders, tmp_path_factory):
    """Two trials, then one more in the same folder; the days of evaluation are not there to be looked at."""
    kept, folder = search.space, tmp_path_factory.mktemp("study")
    looked, read = [], search.read_samples
    fixture = pytest.MonkeyPatch()
    quick = {"epochs": optuna.distributions.IntDistribution(1, 1)}
    fixture.setattr(search, "space", lambda training: kept(training) | quick)
    fixture.setattr(search, "read_samples", lambda *where: looked.append(where[2]) or read(*where))
    told = []
    searched(folders, folder, 2)
    found = searched(folders, folder, 3, told=told.append)
    fixture.undo()
    return found, told, looked


def test_a_search_goes_on_where_it_ended_and_tells_what_it_found(tuned):
    found, told, _ = tuned
    assert [trial.get("kept", False) for trial in told] == [True, True, False]
    assert found["present"] == found["trials"][0]["settings"]
    assert found["better"] == bool(found["proposal"])
    assert found["better"] == (found["proof"] is not None and found["proof"]["interval"][0] > 0)
    assert ("No better" in found["verdict"]) != found["better"]
    json.dumps(found, allow_nan=False)


def test_the_days_of_evaluation_are_not_looked_at(tuned):
    assert set(tuned[2]) == {"train", "validation"}


def test_where_the_time_is_over_what_the_spec_says_now_was_tried_all_the_same(folders, tmp_path):
    found = searched(folders, tmp_path, 4, timeout_seconds=0)
    assert found["timed_out"] and len(found["trials"]) == 1 and "No better" in found["verdict"]


def test_a_trial_that_knows_no_other_asks_what_the_search_asks_before_it_has_found_anything(tmp_path):
    whole = study(tmp_path)
    for _ in range(5):
        whole.next(nearer)
    apart = [drawn(space(TrainingSpec()), NOW, number, seed=0) for number in range(5)]
    assert apart == [trial["settings"] for trial in whole.trials]


@pytest.fixture(scope="module")
def apart(folders, tmp_path_factory):
    return search.SeparateTrials(
        features=folders / "features",
        samples=folders / "samples",
        folder=tmp_path_factory.mktemp("apart"),
        training_spec=TrainingSpec(epochs=1, learning_rate=1e-4),
    )


def test_trials_that_share_no_folder_come_to_what_one_search_comes_to(tuned, apart):
    found = tuned[0]
    said, (now, other) = [], found["trials"][:2]
    kept = [{"name": "b", **apart.trial(other["settings"])}, {"name": "a", **apart.trial(now["settings"], said.append)}]
    assert [trial["value"] for trial in kept] == pytest.approx([other["value"], now["value"]], abs=1e-9)
    assert len(said) == len(now["losses"]), "it tells how good it is after each epoch"
    gathered = apart.conclude(kept)
    assert [trial["name"] for trial in gathered["trials"]] == ["a", "b"], "what the spec says now comes first"
    for same in ("present", "visits", "metric"):
        assert gathered[same] == found[same]
    if found["best"] == other["settings"]:
        assert gathered["proof"] == found["proof"] and gathered["proposal"] == found["proposal"]
    json.dumps(gathered, allow_nan=False)


def test_the_space_is_the_same_in_katibs_words():
    for parameter in katib.parameters(whole := space(TrainingSpec())):
        of, feasible = whole[parameter["name"]], parameter["feasibleSpace"]
        assert (float(feasible["min"]), float(feasible["max"])) == (of.low, of.high)
        assert (feasible["distribution"] == "logUniform") == of.log
        assert parameter["parameterType"] == ("int" if isinstance(of.low, int) else "double")


@pytest.mark.parametrize("value", [0.0, 1.0, 0.43127, 3e-9])
def test_katibs_collector_reads_the_line_that_tells_how_good_a_trial_is(value):
    its_own = re.compile(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)")  # DefaultFilter of its file collector
    ((name, number, *_),) = its_own.findall(katib.told(value))
    assert name == katib.objective()["objectiveMetricName"] and float(number) == pytest.approx(value, abs=1e-6)
