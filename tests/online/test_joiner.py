"""What was shown, joined with what became of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from shoploop.events.log import Record
from shoploop.events.messages import Again, Kept, Shown
from shoploop.online.joiner import FEWEST_VOTES, LATENESS, VOTES, WINDOWS, Joiner

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def shown(request: str, *items: str, after: timedelta = timedelta(0), surface: str = "items") -> Shown:
    return Shown(
        request_id=request, user="ann", version="v1", surface=surface, method="fused", as_of="2026-01-05",
        time=NOON + after, items=list(items), scores=[None] * len(items), propensities=[1.0] * len(items),
    )  # fmt: skip


def did(kind: str, item: str, request: str | None = None, *, after: timedelta = timedelta(seconds=30)) -> Kept:
    time = NOON + after
    source = "organic" if request is None else "attributed"
    return Kept(source=source, kind=kind, user="ann", item=item, time=time, received=time, request_id=request)


def taken(joiner: Joiner, *messages: Kept | Shown):
    return [example for offset, message in enumerate(messages, 1) for example in joiner.take(offset, message)]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00Z"])
def test_a_record_of_a_time_that_nobody_can_count_with_is_a_dead_letter(time):
    joiner = Joiner()
    for offset, message in enumerate((shown("r1", "tea"), did("click", "tea", "r1")), 1):
        fields = message.model_dump(mode="json", exclude_none=True) | {"time": time}
        assert joiner.read(Record(offset, "", json.dumps(fields).encode())) is None
    assert [letter.reason for letter in joiner.dead] == ["unreadable", "unreadable"]


def test_a_click_is_a_choice_among_what_was_shown():
    [example] = taken(Joiner(), shown("r1", "tea", "milk"), did("click", "milk", "r1"))
    assert (example.offset, example.user, example.chosen, example.among) == (2, "ann", "milk", ("tea", "milk"))


def test_a_purchase_from_plain_browsing_is_a_choice_among_all():
    [example] = taken(Joiner(), did("purchase", "milk"))
    assert example.among is None


@pytest.mark.parametrize("kind", ["view", "cart", "click"])
def test_what_is_only_looked_at_in_plain_browsing_teaches_nothing(kind):
    assert taken(Joiner(), did(kind, "milk")) == []


@pytest.mark.parametrize("kind", ["view", "cart", "click"])
def test_a_click_on_an_answer_to_a_query_teaches_nothing(kind):
    """What was not clicked is not what the user does not want, but what the words did not mean."""
    joiner = Joiner()
    assert taken(joiner, shown("r1", "tea", "milk", surface="search"), did(kind, "milk", "r1")) == []
    assert joiner.dead == []


def test_a_purchase_from_an_answer_to_a_query_is_a_choice_among_all():
    [example] = taken(Joiner(), shown("r1", "tea", "milk", surface="search"), did("purchase", "milk", "r1"))
    assert (example.chosen, example.among) == ("milk", None)


def test_feedback_that_comes_before_its_answer_to_a_query_is_joined_alike():
    answer = shown("r1", "tea", "milk", surface="search")
    assert taken(Joiner(), did("click", "milk", "r1"), answer) == []
    [example] = taken(Joiner(), did("purchase", "milk", "r1"), answer)
    assert (example.offset, example.among) == (1, None)


def test_what_an_answer_to_a_query_did_not_show_was_not_chosen_from_it():
    joiner = Joiner()
    assert taken(joiner, shown("r1", "tea", surface="search"), did("purchase", "gold", "r1")) == []
    assert [dead.reason for dead in joiner.dead] == ["not_shown"]


def test_feedback_that_comes_before_its_answer_waits_for_it():
    [example] = taken(Joiner(), did("click", "milk", "r1"), shown("r1", "tea", "milk"))
    assert (example.offset, example.among) == (1, ("tea", "milk"))


def test_feedback_whose_answer_never_comes_is_a_dead_letter_with_its_reason():
    joiner = Joiner()
    later = LATENESS + timedelta(seconds=31)
    after = [shown(f"r{number}", "tea", after=later) for number in range(FEWEST_VOTES)]
    assert taken(joiner, did("click", "milk", "lost"), *after) == []
    assert [(dead.offset, dead.reason) for dead in joiner.dead] == [(1, "no_impression")]
    assert "milk" in joiner.dead[0].body


def test_a_purchase_whose_answer_never_comes_is_a_choice_among_all():
    joiner = Joiner()
    later = LATENESS + timedelta(seconds=31)
    messages = [shown(f"r{number}", "tea", after=later) for number in range(FEWEST_VOTES)]
    [example] = taken(joiner, did("purchase", "milk", "lost"), did("click", "milk", "lost"), *messages)
    assert (example.offset, example.chosen, example.among) == (1, "milk", None)
    assert [(dead.offset, dead.reason) for dead in joiner.dead] == [(2, "no_impression")]


def test_a_purchase_that_a_flood_drives_out_is_a_choice_among_all():
    joiner = Joiner(orphans_at_once=2)
    [example] = taken(joiner, *(did("purchase", f"item {number}", f"lost {number}") for number in range(3)))
    assert (example.offset, example.chosen, example.among) == (1, "item 0", None)


def test_feedback_on_an_answer_from_before_the_first_record_is_joined_and_the_answer_moves_no_time():
    joiner = Joiner(start=10)
    joiner.recall(shown("r1", "tea", "milk"))
    joiner.recall(shown("shops", "tea", surface="shops"))
    assert (joiner.watermark, joiner.waiting) == (None, 1)
    [example] = joiner.take(11, did("click", "milk", "r1"))
    assert example.among == ("tea", "milk")


@pytest.mark.parametrize(("of", "failed", "counts"), [(1, False, 0), (1, True, 1), (0, False, 1)])
def test_a_purchase_that_was_replayed_when_it_was_a_dead_letter_counts_once(of, failed, counts):
    """What an earlier shoploop has appended; a purchase from before the first record was not seen here."""
    event = did("purchase", "milk", "lost")
    later = [shown(f"r{number}", "tea", after=timedelta(minutes=2)) for number in range(FEWEST_VOTES)]
    again = Again(of=of, event=event, items=["tea", "milk"], failed=failed)
    found = taken(Joiner(), event, *later, again)
    assert [each.offset for each in found] == [1, *[2 + FEWEST_VOTES] * counts]


@pytest.mark.parametrize("kind", list(WINDOWS))
def test_feedback_beyond_the_window_of_its_kind_is_late(kind):
    joiner, last = Joiner(), WINDOWS[kind] + LATENESS
    messages = [shown("r1", "tea"), did(kind, "tea", "r1", after=last)]
    assert len(taken(joiner, *messages)) == 1
    others = (did("view", "tea", after=last + timedelta(minutes=2)) for _ in range(VOTES))
    late = taken(joiner, did(kind, "tea", "r1", after=last + timedelta(seconds=1)), *others)
    if kind == "purchase":  # which was wanted, whatever it was chosen from
        assert ([(each.chosen, each.among) for each in late], joiner.dead) == ([("tea", None)], [])
    else:
        assert (late, [dead.reason for dead in joiner.dead]) == ([], ["late"])


def test_what_was_not_shown_was_not_chosen():
    joiner = Joiner()
    assert taken(joiner, shown("r1", "tea"), did("click", "gold", "r1")) == []
    assert [dead.reason for dead in joiner.dead] == ["not_shown"]


def test_answers_are_forgotten_when_nothing_can_come_any_more_and_beyond_a_number():
    joiner = Joiner(shown_at_once=3)
    taken(joiner, *(shown(f"r{n}", "tea") for n in range(FEWEST_VOTES)))
    assert joiner.waiting == 3
    bought = (did("purchase", "tea", after=timedelta(days=8)) for _ in range(FEWEST_VOTES + 1))
    taken(joiner, *bought)
    assert joiner.waiting == 0
    taken(joiner, *(shown(f"new{n}", "tea", after=timedelta(days=8)) for n in range(6)))
    assert set(joiner._open) == {"new3", "new4", "new5"}


def test_one_clock_that_is_wrong_moves_no_time():
    joiner = Joiner()
    messages = [shown(f"r{n}", "tea", after=timedelta(seconds=n)) for n in range(10)]
    messages.insert(7, shown("wrong", "tea", after=timedelta(days=3650)))
    taken(joiner, *messages)
    [example] = taken(joiner, did("click", "tea", "r1", after=timedelta(seconds=11)))
    assert example.chosen == "tea"
    assert joiner.watermark < NOON + timedelta(seconds=11)


@pytest.mark.parametrize("wrong", [1, 5], ids=["the-first-record", "five-records"])
def test_a_few_wrong_clocks_at_the_beginning_of_a_log_close_nothing(wrong):
    joiner = Joiner()
    click = did("click", "milk", "r1")
    taken(joiner, *(shown(f"wrong{n}", "tea", after=timedelta(days=30)) for n in range(wrong)))
    [example] = taken(joiner, click, shown("r1", "milk", "tea"))  # which was written late
    assert example.chosen == "milk" and not joiner.dead
    taken(joiner, *(shown(f"right{n}", "tea", after=timedelta(seconds=n)) for n in range(300)))
    assert joiner.watermark < NOON + timedelta(seconds=300)


def test_the_time_of_a_log_whose_clocks_were_ahead_goes_back_when_most_say_so_and_goes_on_from_there():
    joiner = Joiner()
    taken(joiner, *(shown(f"before{n}", "tea") for n in range(VOTES)))
    taken(joiner, *(shown(f"ahead{n}", "tea", after=timedelta(days=30)) for n in range(VOTES // 2 + 1)))
    assert joiner.watermark == NOON + timedelta(days=30)
    taken(joiner, *(shown(f"right{n}", "tea", after=timedelta(minutes=n)) for n in range(VOTES)))
    assert NOON < joiner.watermark < NOON + timedelta(minutes=VOTES)
    later = did("click", "tea", "a late answer", after=timedelta(minutes=VOTES))
    [example] = taken(joiner, later, shown("a late answer", "tea", after=timedelta(minutes=VOTES)))
    assert example.chosen == "tea"
    days = [did("purchase", "tea", after=timedelta(hours=n)) for n in range(3 * VOTES)]
    assert len(taken(joiner, *days)) == len(days)
    assert NOON + timedelta(days=9) < joiner.watermark < NOON + timedelta(days=13)


@pytest.mark.parametrize("back", [timedelta(hours=23), timedelta(hours=25)], ids=["within-a-day", "beyond"])
def test_times_that_are_a_little_late_take_no_time_back(back):
    joiner = Joiner()
    taken(joiner, *(shown(f"r{n}", "tea", after=timedelta(days=2)) for n in range(VOTES)))
    taken(joiner, *(shown(f"late{n}", "tea", after=timedelta(days=2) - back) for n in range(VOTES)))
    went = joiner.watermark < NOON + timedelta(days=2)
    assert went == (back > timedelta(days=1))


def test_what_waits_does_not_grow_with_the_log():
    joiner = Joiner(shown_at_once=50, orphans_at_once=20)
    for number in range(2_000):
        items = ["".join(["i", str(number % 3)]), "".join(["j", str(number % 2)])]  # strings of their own
        joiner.take(number, shown(f"r{number}", *items))
        joiner.take(number, did("click", "tea", f"of nobody {number // 3}"))  # all at one time: no watermark moves
    assert joiner.waiting == len(joiner._opened) == 50
    assert len({id(item) for waits in joiner._open.values() for item in waits.items}) == 5
    assert sum(len(waits.events) for waits in joiner._orphans.values()) == joiner._waiting_orphans <= 20
    assert len(joiner.dead) + joiner._waiting_orphans == 2_000
    assert {dead.reason for dead in joiner.dead} == {"no_impression"}


def test_an_orphan_that_found_its_answer_waits_no_longer():
    joiner = Joiner(orphans_at_once=2)
    for number in range(10):
        click = did("click", "tea", f"r{number}")
        assert len(taken(joiner, click, shown(f"r{number}", "tea"))) == 1
    assert (joiner._waiting_orphans, joiner.dead) == (0, [])


def test_an_answer_that_the_log_holds_twice_waits_once():
    joiner = Joiner(shown_at_once=2)
    for request in ("r1", "r1", "r2"):
        joiner.take(1, shown(request, "tea"))
    assert joiner.waiting == len(joiner._opened) == 2
    assert len(taken(joiner, did("click", "tea", "r1"), did("click", "tea", "r2"))) == 2
    joiner.take(2, shown("r3", "tea"))
    assert taken(joiner, did("click", "tea", "r1")) == []
