"""How far what is asked now is from what a version saw: nothing where it is the same, much where it moved."""

import numpy as np
import pytest

from shoploop.errors import ArtifactCorrupt
from shoploop.ranking.drift import FEWEST, SCORE, WINDOW, Drift, Reference, psi

NAMES = ("days", "flag")


def rows(seed, *, days=0.0, flag=0.3, count=20):
    chance = np.random.default_rng(seed)
    return np.stack([chance.normal(days, 1, count), chance.random(count) < flag], axis=1).astype(np.float32)


@pytest.fixture
def reference():
    seen_RK = rows(0, count=5000)
    return Reference.of(NAMES, seen_RK, seen_RK[:, 0] * 2)


def watched(reference, *, requests=FEWEST, **how):
    drift = Drift(NAMES, reference, every=1)
    for request in range(requests):
        features_NK = rows(request + 1, **how)
        drift.observe(features_NK, features_NK[:, 0] * 2)
    return drift.told()


def test_two_shares_that_are_worked_out_by_hand():
    found = psi(np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    assert found == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))
    assert psi(np.array([1.0, 3.0]), np.array([10.0, 30.0])) == 0.0
    assert np.isfinite(psi(np.array([0.5, 0.5]), np.array([0.0, 1.0])))


def test_what_has_not_changed_has_no_drift(reference):
    told = watched(reference)
    assert told.keys() == {SCORE, *NAMES} and max(told.values()) < 0.02


def test_a_feature_that_moved_is_named_and_the_others_are_not(reference):
    told = watched(reference, flag=0.9)
    assert told["flag"] > 0.25 and max(told["days"], told[SCORE]) < 0.02
    told = watched(reference, days=1.0)
    assert min(told["days"], told[SCORE]) > 0.25 and told["flag"] < 0.02


def test_nothing_is_told_before_enough_was_looked_at(reference):
    assert watched(reference, requests=FEWEST - 1) == {}
    assert Drift(NAMES, None).told() == {}


def test_one_request_in_some_is_looked_at_and_the_past_is_forgotten(reference):
    drift = Drift(NAMES, reference, every=4)
    assert [drift.is_due() for _ in range(8)] == 2 * [False, False, False, True]
    drift.put_off()
    assert [drift.is_due() for _ in range(4)] == [True, False, False, False]
    assert not any(Drift(NAMES, None, every=1).is_due() for _ in range(8)), "there is nothing to compare with"
    drift = Drift(NAMES, reference, every=1)
    for _ in range(WINDOW):
        drift.observe(rows(1, days=5.0), rows(1)[:, 0])
    far = drift.told()["days"]
    for request in range(2 * WINDOW):
        drift.observe(rows(request), rows(request)[:, 0])
    assert drift.told()["days"] < far / 5


def test_a_reference_comes_back_as_it_was_written(reference):
    again = Reference.from_bytes(reference.to_bytes())
    assert again.to_bytes() == reference.to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"days": {}}',
        b'{"days": {"edges": [1, 0], "shares": [0, 0, 1]}}',
        b'{"d": {"edges": [], "shares": []}}',
    ],
    ids=repr,
)
def test_a_reference_that_is_none_is_named(data):
    with pytest.raises(ArtifactCorrupt, match=r"reference\.json"):
        Reference.from_bytes(data)


def test_a_trained_version_carries_what_it_saw(trained_shop):
    from shoploop.ranking.drift import FILE
    from shoploop.versions.artifact import load_version

    version = load_version(trained_shop / "model")
    reference = Reference.from_bytes(version.extra_files[FILE])
    assert SCORE in reference.edges and "own_days" in reference.edges
    assert all(shares_B.sum() == pytest.approx(1) for shares_B in reference.shares.values())
