"""Who answers whom in one process: the version that serves, its candidate, and what becomes of one that does badly."""

import copy
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop.serving import make_ranker

from shoploop.predictor.lineup import Lineup, Packaged, Returned, Tally
from shoploop.predictor.switching import AGAIN_SECONDS, SHADOWS, TALLY_SECONDS, Versions
from shoploop.predictor.watch import FEWEST, CandidateWatch
from shoploop.ranking.answer import RecommendRequest
from shoploop.ranking.visiting import ShopsUnknown

USERS = [f"user-{number}" for number in range(2_000)]
OLD, NEW, OTHER = "v00000000000a", "v00000000000b", "v00000000000c"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    ranker = make_ranker(tmp_path_factory.mktemp("ranker"))
    ranker.version = OLD
    return ranker


def named(ranker, version):
    other = copy.copy(ranker)
    other.version = version
    return other


class Shelf:
    """Packaged rankers by their folders, and how often each was loaded."""

    def __init__(self, *rankers):
        self.rankers = {ranker.version: ranker for ranker in rankers}
        self.loads = []

    def load(self, folder):
        self.loads.append(folder.name)
        return self.rankers[folder.name]


@pytest.fixture
def shelf(old):
    return Shelf(old, named(old, NEW), named(old, OTHER))


@pytest.fixture
def versions(old, shelf, tmp_path):
    return Versions(old, tmp_path, load=shelf.load)


def packaged(version):
    return Packaged(version=version, folder=f"/somewhere/{version}")


def lineup(stable=OLD, candidate=None, **facts):
    return Lineup(
        stable=packaged(stable),
        candidate=packaged(candidate) if candidate else None,
        **({"candidacy": 1, "salt": "s"} if candidate else {}) | facts,
    )


def ask(ranker, in_time=True):
    return ranker.recommend(RecommendRequest(user="ann", k=3))


def answered(versions, users=USERS[:1], ask=ask):
    return [versions.answer(user, ask).version for user in users]


def told(versions, folder, said):
    said.write(folder)
    return versions.look()


@given(st.text(min_size=1, max_size=20), st.integers(1, 98))
def test_who_is_among_a_few_percent_is_among_more(user, percent):
    few, more = (lineup(candidate=NEW, percent=p) for p in (percent, percent + 1))
    assert few.gives_candidate(user) == few.gives_candidate(user)
    assert more.gives_candidate(user) or not few.gives_candidate(user)


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_a_candidate_gets_its_share_of_users_and_each_salt_others(percent):
    one, other = (lineup(candidate=NEW, percent=percent, salt=salt) for salt in ("a", "b"))
    chosen, others = ({user for user in USERS if each.gives_candidate(user)} for each in (one, other))
    assert abs(len(chosen) / len(USERS) - percent / 100) < 0.04
    assert chosen != others


@pytest.mark.parametrize(
    "said", [lineup(), lineup(candidate=NEW, percent=0), lineup(candidate=NEW, percent=50, shadow=True)]
)
def test_nobody_gets_a_candidate_that_is_none_or_in_the_shadow(said):
    assert not any(map(said.gives_candidate, USERS))


def test_a_lineup_is_read_as_it_was_written(tmp_path):
    for said in (lineup(), lineup(NEW, OTHER, percent=10)):
        said.write(tmp_path)
        assert Lineup.read(tmp_path) == said


def test_what_is_no_lineup_changes_nothing(versions, tmp_path):
    for text in ("", "[]", "{}", '{"stable": 1}'):
        (tmp_path / "lineup.json").write_text(text)
        assert not versions.look()
        assert answered(versions) == [OLD]


def test_a_promoted_version_answers_and_going_back_loads_nothing(versions, shelf, tmp_path):
    assert told(versions, tmp_path, lineup(NEW))
    assert answered(versions) == [NEW] and versions.stable.version == NEW
    assert told(versions, tmp_path, lineup(OLD)) and told(versions, tmp_path, lineup(NEW))
    assert answered(versions) == [NEW]
    assert shelf.loads == [NEW]


def test_a_version_that_cannot_be_loaded_leaves_who_serves(versions, shelf, tmp_path):
    shelf.rankers["vdamaged"] = named(shelf.rankers[OLD], "v-of-another-name")
    for version in ("vmissing", "vdamaged"):
        told(versions, tmp_path, lineup(version))
        assert answered(versions) == [OLD]


def test_a_version_that_could_not_be_loaded_for_a_moment_serves_a_while_later(old, shelf, tmp_path):
    seconds, late = [0.0], shelf.rankers.pop(NEW)
    versions = Versions(old, tmp_path, load=shelf.load, clock=lambda: seconds[0])
    told(versions, tmp_path, lineup(NEW))
    shelf.rankers[NEW] = late
    assert not versions.look()
    seconds[0] = AGAIN_SECONDS
    assert versions.look()
    assert answered(versions) == [NEW]
    seconds[0] = 2 * AGAIN_SECONDS
    assert not versions.look() and shelf.loads == [NEW, NEW]


def test_memory_holds_who_serves_who_served_before_and_the_candidate(versions, shelf, old, tmp_path):
    for number in range(6):
        shelf.rankers[f"v{number}"] = named(old, f"v{number}")
        told(versions, tmp_path, lineup(f"v{number}"))
    told(versions, tmp_path, lineup("v5", NEW, percent=10))
    assert {version for version in ("v4", "v5", NEW) if versions.of(version)} == {"v4", "v5", NEW}
    assert versions.of("v1") is None and versions.of(OLD) is None


def test_those_who_ask_while_versions_are_exchanged_all_get_an_answer(versions, tmp_path):
    found, stop = [], threading.Event()

    def shopper():
        while not stop.is_set():
            found.extend(answered(versions))

    threads = [threading.Thread(target=shopper) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        told(versions, tmp_path, lineup(NEW if number % 2 == 0 else OLD))
    stop.set()
    for thread in threads:
        thread.join()
    assert set(found) <= {OLD, NEW} and len(found) > 0


def test_a_candidate_answers_its_users_and_nobody_else(versions, tmp_path):
    said = lineup(OLD, NEW, percent=30)
    told(versions, tmp_path, said)
    assert answered(versions, USERS[:50]) == [NEW if said.gives_candidate(user) else OLD for user in USERS[:50]]


def failing(version):
    def of(ranker, in_time=True):
        if ranker.version == version:
            raise RuntimeError("broken")
        return ask(ranker)

    return of


def test_where_a_candidate_fails_who_serves_answers_and_it_returns(versions, tmp_path):
    told(versions, tmp_path, lineup(OLD, NEW, percent=99))
    assert set(answered(versions, USERS[:20], failing(NEW))) == {OLD}
    assert Returned.read(tmp_path) == Returned(candidacy=1, version=NEW, reason="3 of its last 3 answers failed")
    assert set(answered(versions, USERS[:20])) == {OLD}
    told(versions, tmp_path, lineup(OLD, NEW, percent=50))  # the same candidacy, by somebody who does not know yet
    assert set(answered(versions, USERS[:20])) == {OLD}
    told(versions, tmp_path, lineup(OLD, NEW, percent=99, candidacy=2))  # somebody tries it again
    assert NEW in answered(versions, USERS[:20])


def test_a_candidate_that_fails_while_versions_are_exchanged_does_not_come_back(old, shelf, tmp_path):
    def taken_up(stable):
        if stable.version == OTHER:
            answered(versions, USERS[:20], failing(NEW))

    versions = Versions(old, tmp_path, load=shelf.load, on_stable=taken_up)
    told(versions, tmp_path, lineup(OLD, NEW, percent=99))
    told(versions, tmp_path, lineup(OTHER, NEW, percent=99))
    assert Returned.read(tmp_path).version == NEW
    assert set(answered(versions, USERS[:20])) == {OTHER}


def test_where_who_serves_fails_nobody_else_is_to_blame(versions, tmp_path):
    told(versions, tmp_path, lineup(OLD, NEW, percent=1))
    with pytest.raises(RuntimeError):
        answered(versions, USERS[:50], failing(OLD))
    assert Returned.read(tmp_path) is None


def shopless(*versions):
    def of(ranker, in_time=True):
        if ranker.version in versions:
            raise ShopsUnknown("shop_unknown", "Nobody has visited it.")
        return ask(ranker)

    return of


def test_a_candidate_that_knows_no_shop_has_failed_only_where_who_serves_knows_one(versions, tmp_path):
    told(versions, tmp_path, lineup(OLD, NEW, percent=99))
    for user in USERS[:20]:
        with pytest.raises(ShopsUnknown):
            versions.answer(user, shopless(OLD, NEW))
    assert Returned.read(tmp_path) is None, "nobody knows a shop that is none"
    assert set(answered(versions, USERS[:20], shopless(NEW))) == {OLD}
    assert Returned.read(tmp_path).version == NEW


def test_a_candidate_that_cannot_be_loaded_returns(versions, tmp_path):
    told(versions, tmp_path, lineup(OLD, "vmissing", percent=50))
    assert set(answered(versions, USERS[:20])) == {OLD}
    assert Returned.read(tmp_path).reason == "it cannot be loaded"


def test_one_in_the_shadow_answers_later_and_shows_nobody(versions, tmp_path):
    told(versions, tmp_path, lineup(OLD, NEW, shadow=True))
    asked = []

    def noting(ranker, in_time=True):
        asked.append((ranker.version, in_time))
        return ask(ranker)

    assert set(answered(versions, USERS[:5], noting)) == {OLD}
    assert asked == [(OLD, True)] * 5
    while versions.compare_next():
        pass
    assert asked[5:] == [(NEW, False)] * 5


def test_one_in_the_shadow_is_spared_what_would_wait_too_long(versions, tmp_path):
    told(versions, tmp_path, lineup(OLD, NEW, shadow=True))
    answered(versions, USERS[: SHADOWS + 10])
    compared = 0
    while versions.compare_next():
        compared += 1
    assert compared == SHADOWS


def test_one_in_the_shadow_that_fails_returns_without_anybody_seeing_it(versions, tmp_path):
    told(versions, tmp_path, lineup(OLD, NEW, shadow=True))
    assert set(answered(versions, USERS[:5], failing(NEW))) == {OLD}
    while versions.compare_next():
        pass
    assert Returned.read(tmp_path).version == NEW


def watched(*, candidate, stable, failures=0):
    watch = CandidateWatch()
    for seconds in candidate:
        watch.answered(seconds, candidate=True)
    for seconds in stable:
        watch.answered(seconds, candidate=False)
    for _ in range(failures):
        watch.failed()
    return watch.verdict


def test_a_candidate_is_too_slow_where_its_slow_answers_take_twice_as_long():
    assert "took up to 30 ms" in watched(candidate=[0.03] * FEWEST, stable=[0.01] * FEWEST)
    assert watched(candidate=[0.015] * FEWEST, stable=[0.01] * FEWEST) is None
    assert watched(candidate=[0.005] * FEWEST, stable=[0.001] * FEWEST) is None  # a few milliseconds are no reason


def test_of_a_few_answers_nothing_is_concluded_but_that_they_fail():
    assert watched(candidate=[9.0] * (FEWEST - 1), stable=[0.01] * FEWEST) is None
    assert watched(candidate=[0.01] * 290, stable=[], failures=2) is None
    assert "failed" in watched(candidate=[0.01] * 200, stable=[], failures=3)


def test_how_a_candidate_does_is_written_now_and_then(old, shelf, tmp_path):
    seconds = [TALLY_SECONDS]
    versions = Versions(old, tmp_path, load=shelf.load, clock=lambda: seconds[0])
    told(versions, tmp_path, lineup(candidate=NEW, percent=50))
    gave = answered(versions, USERS[:40]).count(NEW)
    versions.tell_tally()
    assert Tally.read(tmp_path) == Tally(candidacy=1, given=gave)
    answered(versions, USERS[:40])
    versions.tell_tally()
    assert Tally.read(tmp_path).given == gave, "not at every answer"
    seconds[0] += TALLY_SECONDS
    versions.tell_tally()
    assert Tally.read(tmp_path).given == 2 * gave


def test_what_a_candidate_in_the_shadow_would_have_shown_else_is_counted(versions, tmp_path):
    told(versions, tmp_path, lineup(candidate=NEW, shadow=True))

    def ask_other(ranker, in_time=True):
        return ranker.recommend(RecommendRequest(user="ann", k=3 if ranker.version == OLD else 1))

    answered(versions, ask=ask_other)
    assert versions.compare_next()
    versions.tell_tally()
    assert (Tally.read(tmp_path).given, Tally.read(tmp_path).different) == (1, 1)
