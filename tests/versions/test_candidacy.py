"""A candidate begins and ends in a log in the store, and its steps follow the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from lost_answers import lose_answers
from shop.serving import publish_twins

from shoploop.cli.candidate import candidate
from shoploop.errors import NotFound, SpecInvalid
from shoploop.store import Log
from shoploop.versions import candidacy, promotions
from shoploop.versions.removal import choose_versions, remove_version

NAME, BY = "small", "a test"


@pytest.fixture
def store(make_store, tmp_path):
    """Two versions; the first serves."""
    store = make_store()
    store.first, store.second = publish_twins(store, NAME, tmp_path)
    return store


def begin(store, **asked):
    return candidacy.begin(store, NAME, store.second, **{"percent": 10, "reason": "new", "by": BY} | asked)


def test_a_candidacy_goes_on_until_it_is_ended(store):
    assert candidacy.current(store, NAME) is None
    begun = begin(store)
    assert (begun.percent, candidacy.current(store, NAME)) == (10, begun)
    assert candidacy.end(store, NAME, reason="enough", by=BY).version == store.second
    assert candidacy.current(store, NAME) is None
    with pytest.raises(NotFound, match="no candidate"):
        candidacy.end(store, NAME, reason="again", by=BY)


def test_a_version_that_is_removed_while_it_becomes_the_candidate_is_none(store, monkeypatch):
    monkeypatch.setattr(promotions, "LOOK_SECONDS", 0)
    append = Log.append

    def later(log, entry, *, after):
        remove_version(store, NAME, store.second, named={})
        return append(log, entry, after=after)

    monkeypatch.setattr(Log, "append", later)
    with pytest.raises(NotFound, match=f"{store.second} of 'small' was removed"):
        begin(store)
    assert candidacy.current(store, NAME) is None


def test_a_candidacy_whose_end_is_written_and_whose_answer_got_lost_is_over(store, monkeypatch):
    begin(store)
    lose_answers(monkeypatch)
    assert candidacy.end(store, NAME, reason="enough", by=BY).action == "end"
    assert len(candidacy.since(store, NAME, 0)) == 2


def test_each_candidacy_has_other_users(store):
    assert begin(store).salt != begin(store, percent=20).salt


def test_who_serves_everybody_is_no_candidate_any_more(store):
    begin(store)
    promotions.promote(store, NAME, store.second, reason="it is good", by=BY)
    assert candidacy.current(store, NAME) is None


def test_who_gave_up_an_older_candidacy_does_not_end_a_newer_one(store):
    older, newer = begin(store), begin(store)
    with pytest.raises(NotFound):
        candidacy.end(store, NAME, reason="slow", by=BY, number=older.number)
    assert candidacy.current(store, NAME) == newer


def test_steps_follow_each_other_and_then_everybody_has_it(store):
    begun = begin(store, percent=0, steps=((10, 30), (50, 60)))
    start = datetime.fromisoformat(begun.time)
    at = {minutes: begun.percent_at(start + timedelta(minutes=minutes)) for minutes in (0, 29, 30, 89, 90, 1000)}
    assert at == {0: 10, 29: 10, 30: 50, 89: 50, 90: candidacy.EVERYBODY, 1000: candidacy.EVERYBODY}


def test_one_in_the_shadow_answers_nobody_however_long(store):
    begun = begin(store, shadow=True)
    assert begun.percent_at(datetime.now(UTC) + timedelta(days=9)) == 0


def test_what_cannot_be_a_candidate_is_named(store):
    with pytest.raises(SpecInvalid, match="serves all users"):
        candidacy.begin(store, NAME, store.first, percent=10, reason="x", by=BY)
    with pytest.raises(SpecInvalid, match="1 to 99 percent"):
        begin(store, percent=0)
    with pytest.raises(NotFound, match="has no version v000000000000"):
        candidacy.begin(store, NAME, "v000000000000", percent=10, reason="x", by=BY)
    with pytest.raises(NotFound, match="serves yet"):
        candidacy.begin(store, "unknown", store.second, percent=10, reason="x", by=BY)


def asked(store, version=None, **options):
    nothing = {"percent": 0, "steps": [], "shadow": False, "end": False, "reason": "by hand", "by": BY}
    candidate(store, NAME, version, **nothing | options)


def test_the_command_begins_tells_and_ends(store, capsys):
    asked(store)
    asked(store, store.second, steps=["10:60", "50:30"])
    asked(store)
    asked(store, end=True)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "small has no candidate."
    assert "answers 10 % of users" in said[1] and said[1] == said[2] and "promoted" in said[1]
    assert f"{store.first} serves" in said[3]


@pytest.mark.parametrize(
    "options",
    [{"steps": ["10"]}, {"steps": ["0:5"]}, {"steps": ["100:5"]}, {"steps": ["5:0"]}, {"percent": 5, "shadow": True}],
)
def test_what_does_not_fit_together_is_refused(store, options):
    with pytest.raises(SpecInvalid):
        asked(store, store.second, **options)


def test_a_candidate_is_not_removed_for_being_old(store):
    promotions.promote(store, NAME, store.second, reason="x", by=BY)
    promotions.rollback(store, NAME, by=BY)
    begun = candidacy.begin(store, NAME, store.second, percent=10, reason="new", by=BY)
    assert choose_versions(store, NAME, newest=1, named={}).kept[store.second] == "is the candidate"
    assert not remove_version(store, NAME, begun.version, named={})
    candidacy.end(store, NAME, reason="enough", by=BY)
    assert remove_version(store, NAME, begun.version, named={})
