"""What the store says of versions reaches predictors through one file: fetched, verified, and of the same code."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from shop.serving import publish_twins

from shoploop.errors import ArtifactCorrupt, NotFound
from shoploop.packaging import lineups
from shoploop.packaging.lineups import LineupKeeper, code_of
from shoploop.predictor.lineup import Lineup, Returned, Tally
from shoploop.versions import candidacy, promotions
from shoploop.versions.artifact import load_version, write_version
from shoploop.versions.signing import Trust

NAME, BY = "small", "a test"


def unpacked(folder, code="print(1)"):
    """A Bento as it lies in a cache, as far as anybody looks at it here."""
    (folder / "src" / "shoploop" / "__pycache__").mkdir(parents=True)
    (folder / "src" / "ranker").mkdir()
    (folder / "env" / "python").mkdir(parents=True)
    (folder / "src" / "shoploop" / "it.py").write_text(code)
    (folder / "src" / "ranker" / "settings.json").write_text(folder.name)
    (folder / "env" / "python" / "requirements.txt").write_text("numpy==2")
    return folder


@pytest.fixture
def store(make_store, tmp_path):
    store = make_store()
    store.first, store.second = publish_twins(store, NAME, tmp_path)
    return store


class Cache:
    def __init__(self, folder, store):
        self.folder = folder
        self.bentos = {version: unpacked(folder / version) for version in (store.first, store.second)}
        self.fetched = []

    def fetch(self, store, name, version, cache, trust):
        self.fetched.append(version)
        if version not in self.bentos:
            raise ArtifactCorrupt(f"{version} was altered.")
        return self.bentos[version]


@pytest.fixture
def cache(tmp_path, store, monkeypatch):
    cache = Cache(tmp_path / "cache", store)
    monkeypatch.setattr(lineups, "fetch_bento", cache.fetch)
    return cache


@pytest.fixture
def clock():
    class Clock:
        ahead = timedelta()

        def __call__(self):
            return datetime.now(UTC) + self.ahead

    return Clock()


@pytest.fixture
def make_keeper(store, cache, clock, tmp_path):
    folder = tmp_path / "lineup"
    folder.mkdir()

    def make(learning=None, **options):
        said = []
        keeper = LineupKeeper(
            store, NAME, folder, version=store.first, bento=cache.bentos[store.first], cache=tmp_path,
            trust=Trust.configured(), learning=learning, tell=said.append, clock=clock, **options,
        )  # fmt: skip
        keeper.folder, keeper.said = folder, said
        return keeper

    return make


@pytest.fixture
def keeper(make_keeper):
    return make_keeper()


def seen(keeper):
    keeper.look()
    lineup = Lineup.read(keeper.folder)
    return lineup.stable.version, lineup.candidate and lineup.candidate.version, lineup.percent


def test_promotion_rollback_and_nothing_new(keeper, store, cache):
    assert seen(keeper) == (store.first, None, 0)
    assert not keeper.look()
    promotions.promote(store, NAME, store.second, reason="better", by=BY)
    assert seen(keeper) == (store.second, None, 0)
    assert Lineup.read(keeper.folder).stable.folder == str(cache.bentos[store.second] / "src" / "ranker")
    promotions.rollback(store, NAME, by=BY)
    assert seen(keeper) == (store.first, None, 0)
    assert keeper.said == [
        f"{store.second} serves, in place of {store.first}.",
        f"{store.first} serves, in place of {store.second}.",
    ]


def test_a_version_of_other_serving_code_waits_for_a_restart_and_is_told_once(keeper, store, cache):
    shutil.rmtree(cache.bentos[store.second])
    unpacked(cache.bentos[store.second], code="print(2)")
    promotions.promote(store, NAME, store.second, reason="better", by=BY)
    assert seen(keeper) == (store.first, None, 0)
    keeper.look()
    assert len(keeper.said) == 1 and "serves after a restart" in keeper.said[0]


def test_code_is_the_same_whatever_model_is_packaged_and_however_often_it_ran(tmp_path):
    one, other = unpacked(tmp_path / "one"), unpacked(tmp_path / "other")
    (other / "src" / "shoploop" / "__pycache__" / "it.pyc").write_bytes(b"x")
    assert code_of(one) == code_of(other)
    (other / "env" / "python" / "requirements.txt").write_text("numpy==3")
    assert code_of(one) != code_of(other)


def test_what_must_not_be_served_leaves_who_serves(keeper, store, cache):
    seen(keeper)
    del cache.bentos[store.second]
    promotions.promote(store, NAME, store.second, reason="better", by=BY)
    with pytest.raises(ArtifactCorrupt):
        keeper.look()
    assert Lineup.read(keeper.folder).stable.version == store.first


def altered(cache, store, monkeypatch, why):
    """From now on the second version cannot be fetched."""

    def fetch(*given):
        if given[2] == store.second:
            raise why
        return cache.fetch(*given)

    monkeypatch.setattr(lineups, "fetch_bento", fetch)


@pytest.mark.parametrize("why", [ArtifactCorrupt("It was altered."), OSError(28, "No space left on device")])
def test_a_candidate_that_cannot_be_had_stops_no_rollback_and_is_told(keeper, store, cache, tmp_path, monkeypatch, why):
    third = publish_third(store, tmp_path)
    cache.bentos[third] = unpacked(cache.folder / third)
    promotions.promote(store, NAME, third, reason="better", by=BY)
    assert seen(keeper) == (third, None, 0)
    altered(cache, store, monkeypatch, why)
    begin(store)
    for _ in range(2):
        with pytest.raises(type(why)):
            keeper.look()
    promotions.rollback(store, NAME, by=BY)
    with pytest.raises(type(why)):
        keeper.look()
    assert Lineup.read(keeper.folder).stable.version == keeper.state().stable == store.first
    assert not keeper.state().candidate.answers
    candidacy.end(store, NAME, reason="it cannot be had", by=BY)
    assert seen(keeper) == (store.first, None, 0)


def test_who_begins_beside_a_candidate_that_cannot_be_had_serves_what_was_promoted(
    make_keeper, store, cache, tmp_path, monkeypatch
):
    third = publish_third(store, tmp_path)
    cache.bentos[third] = unpacked(cache.folder / third)
    promotions.promote(store, NAME, third, reason="better", by=BY)
    altered(cache, store, monkeypatch, ArtifactCorrupt("It was altered."))
    begin(store)
    keeper = make_keeper()  # started with the first
    with pytest.raises(ArtifactCorrupt):
        keeper.look()
    assert Lineup.read(keeper.folder).stable.version == third


def test_a_candidate_whose_promotion_cannot_be_written_goes_on_in_its_last_step(keeper, store, clock, monkeypatch):
    begin(store, percent=0, steps=((10, 60), (50, 60)))
    clock.ahead = timedelta(minutes=90)
    assert seen(keeper) == (store.first, store.second, 50)
    clock.ahead = timedelta(minutes=121)
    with monkeypatch.context() as broken:
        broken.setattr(store, "exists", lambda key: False)
        with pytest.raises(NotFound):
            keeper.look()
    lineup = Lineup.read(keeper.folder)
    assert (lineup.stable.version, lineup.candidate.version, lineup.percent) == (store.first, store.second, 50)


def publish_third(store, folder):
    second = load_version(folder / "two")
    third = write_version(
        folder / "three", tensors=second.tensors, config=second.config, contract=second.contract, items=second.items,
        lineage={"parent": second.id}, metrics={},
    )  # fmt: skip
    promotions.publish_version(store, NAME, folder / "three")
    return third.id


def begin(store, **asked):
    return candidacy.begin(store, NAME, store.second, **{"percent": 10, "reason": "new", "by": BY} | asked)


def test_a_candidate_comes_and_goes(keeper, store):
    begun = begin(store)
    assert seen(keeper) == (store.first, store.second, 10)
    lineup = Lineup.read(keeper.folder)
    assert (lineup.salt, lineup.candidacy) == (begun.salt, begun.number)
    candidacy.end(store, NAME, reason="enough", by=BY)
    assert seen(keeper) == (store.first, None, 0)


def test_a_candidate_that_is_promoted_serves_everybody(keeper, store):
    begin(store)
    seen(keeper)
    promotions.promote(store, NAME, store.second, reason="good", by=BY)
    assert seen(keeper) == (store.second, None, 0)


def test_steps_go_on_by_themselves_to_a_promotion(keeper, store, clock):
    begin(store, percent=0, steps=((10, 30), (50, 30)))
    assert seen(keeper)[2] == 10
    clock.ahead = timedelta(minutes=31)
    assert seen(keeper)[2] == 50
    clock.ahead = timedelta(minutes=61)
    keeper.look()
    assert promotions.serving_version(store, NAME) == store.second
    assert seen(keeper) == (store.second, None, 0)


@pytest.mark.parametrize("by_steps", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
def test_who_rolls_back_a_candidate_that_was_promoted_is_not_overruled(make_keeper, store, clock, by_steps, restarted):
    keeper = make_keeper()
    begin(store, **({"percent": 0, "steps": ((10, 30),)} if by_steps else {"percent": 10}))
    assert seen(keeper)[1] == store.second
    if by_steps:
        clock.ahead = timedelta(minutes=31)
        keeper.look()
    else:
        promotions.promote(store, NAME, store.second, reason="good", by=BY)
    assert seen(keeper) == (store.second, None, 0)
    promotions.rollback(store, NAME, by=BY)
    keeper = make_keeper() if restarted else keeper
    assert [seen(keeper) for _ in range(3)] == [(store.first, None, 0)] * 3
    assert promotions.serving_version(store, NAME) == store.first
    assert candidacy.current(store, NAME) is None


def test_a_promotion_that_was_decided_before_a_rollback_was_known_is_not_made(keeper, store):
    known = promotions.promotions(store, NAME)[-1].number
    promotions.promote(store, NAME, store.second, reason="another predictor was first", by=BY)
    promotions.rollback(store, NAME, by=BY)
    promotions.promote(store, NAME, store.second, reason="the last step is over", by=BY, after=known)
    assert promotions.serving_version(store, NAME) == store.first


def test_a_candidate_that_a_predictor_gave_up_ends_for_all_of_them(keeper, store):
    begun = begin(store)
    seen(keeper)
    Returned(candidacy=begun.number, version=store.second, reason="3 of its last 3 answers failed").write(keeper.folder)
    assert seen(keeper) == (store.first, None, 0)
    assert candidacy.current(store, NAME) is None
    assert candidacy.since(store, NAME, 0)[-1].reason == "3 of its last 3 answers failed"
    begin(store)  # somebody tries it again
    assert seen(keeper) == (store.first, store.second, 10)


class Learning:
    """Which versions learn, and which of them have caught up."""

    def __init__(self, folder):
        self.folder, self.level, self.stopped, self.at_work = folder, set(), {}, {}

    def begin(self, version, *, beside=None):
        self.at_work.setdefault(version, beside)
        return self.folder / version

    def is_level(self, version, serving):
        return version in self.level

    def frozen(self, version):
        return self.stopped.get(version)

    def keep(self, *versions):
        self.at_work = {version: beside for version, beside in self.at_work.items() if version in versions}


@pytest.fixture
def learning(tmp_path):
    return Learning(tmp_path / "updates")


def test_a_promoted_version_learns_beside_the_one_that_serves_and_takes_its_place_once_it_has_caught_up(
    make_keeper, learning, store
):
    keeper = make_keeper(learning)
    assert seen(keeper) == (store.first, None, 0)
    assert Lineup.read(keeper.folder).stable.updates == str(learning.folder / store.first)
    promotions.promote(store, NAME, store.second, reason="better", by=BY)
    for _ in range(2):
        assert seen(keeper) == (store.first, None, 0)
    assert learning.at_work == {store.first: None, store.second: store.first}
    learning.level.add(store.second)
    assert seen(keeper) == (store.second, None, 0)
    assert Lineup.read(keeper.folder).stable.updates == str(learning.folder / store.second)
    assert set(learning.at_work) == {store.second}
    assert keeper.said == [
        f"{store.second} learns what came since its data; {store.first} serves until it has caught up.",
        f"{store.second} serves, in place of {store.first}.",
    ]


def test_a_rollback_waits_for_nothing(make_keeper, learning, store):
    keeper = make_keeper(learning)
    promotions.promote(store, NAME, store.second, reason="better", by=BY)
    learning.level.add(store.second)
    assert seen(keeper) == (store.second, None, 0)
    promotions.rollback(store, NAME, by=BY)
    assert seen(keeper) == (store.first, None, 0)
    assert set(learning.at_work) == {store.first}


def test_a_promoted_version_whose_learning_was_stopped_does_not_serve_and_that_is_told_with_the_remedy(
    make_keeper, learning, store
):
    keeper = make_keeper(learning)
    promotions.promote(store, NAME, store.second, reason="better", by=BY)
    learning.stopped[store.second] = "progressive_loss: it is worse."
    assert seen(keeper) == (store.first, None, 0)
    [said] = keeper.said
    assert "it learns no more. progressive_loss: it is worse." in said
    assert f"online resume {NAME} --version {store.second}" in said


def test_a_candidate_learns_too_and_is_promoted_by_its_last_step_only_once_it_has_caught_up(
    make_keeper, learning, store, clock
):
    keeper = make_keeper(learning)
    begin(store, percent=0, steps=((10, 60),))
    assert seen(keeper) == (store.first, store.second, 10)
    assert Lineup.read(keeper.folder).candidate.updates == str(learning.folder / store.second)
    assert set(learning.at_work) == {store.first, store.second}
    clock.ahead = timedelta(minutes=61)
    assert seen(keeper) == (store.first, store.second, 10)
    learning.level.add(store.second)
    keeper.look()
    assert seen(keeper) == (store.second, None, 0)
    assert promotions.serving_version(store, NAME) == store.second


def test_who_only_reads_tells_what_follows_by_itself_and_writes_nothing(make_keeper, store, clock):
    keeper = make_keeper(writes=False)
    begun = begin(store, percent=0, steps=((10, 30),))
    assert seen(keeper)[1:] == (store.second, 10)
    clock.ahead = timedelta(minutes=31)
    assert seen(keeper)[1:] == (store.second, 10), "it stays at its last step until somebody has written the promotion"
    state = keeper.state()
    assert state.candidate.over and state.candidate.number == begun.number
    Returned(candidacy=begun.number, version=store.second, reason="slow").write(keeper.folder)
    assert seen(keeper) == (store.first, None, 0)
    now = keeper.state().candidate
    assert (now.answers, now.returned) == (False, "slow")
    assert candidacy.current(store, NAME) == begun and promotions.serving_version(store, NAME) == store.first


def test_the_state_says_who_serves_what_was_promoted_and_why_the_two_differ(make_keeper, learning, store, cache):
    keeper = make_keeper(learning, writes=False)
    seen(keeper)
    assert (keeper.state().stable, keeper.state().promoted, keeper.state().waiting) == (store.first, store.first, None)
    promotions.promote(store, NAME, store.second, reason="better", by=BY)
    seen(keeper)
    state = keeper.state()
    assert (state.base, state.stable, state.promoted, state.promotions) == (store.first, store.first, store.second, 2)
    assert state.waiting.code == "CatchingUp" and "until it has caught up" in state.waiting.message
    learning.stopped[store.second] = "worse."
    seen(keeper)
    assert keeper.state().waiting.code == "LearningStopped"
    learning.level.add(store.second)
    seen(keeper)
    assert (keeper.state().stable, keeper.state().waiting) == (store.second, None)


def test_how_a_candidate_has_done_is_told_as_the_server_wrote_it(make_keeper, store):
    keeper, begun = make_keeper(writes=False), begin(store)
    seen(keeper)
    Tally(candidacy=begun.number, given=12, failed=2, different=0).write(keeper.folder)
    assert (keeper.state().candidate.given, keeper.state().candidate.failed) == (12, 2)
    ended = candidacy.end(store, NAME, reason="enough", by=BY)
    seen(keeper)
    assert keeper.state().candidate is None and keeper.state().ended.number == ended.number


def test_a_version_that_served_lately_is_not_fetched_again_and_is_made_ready_once(make_keeper, store, cache):
    ready = []
    keeper = make_keeper(writes=False, prepare=ready.append)
    for version in (store.second, store.first, store.second):
        promotions.promote(store, NAME, version, reason="again", by=BY)
        assert seen(keeper)[0] == version
    assert cache.fetched == [store.second]
    assert ready == [cache.bentos[store.second] / "src" / "ranker"]
    assert keeper.unpacked == {bento / "src" / "ranker" for bento in cache.bentos.values()}
