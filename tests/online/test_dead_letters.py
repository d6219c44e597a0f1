"""Dead letters are found anew from the log, and those that can be learned from by now are learned when they are replayed."""

from datetime import UTC, datetime, timedelta

from shoploop.events.compaction import compact
from shoploop.events.erasing import erase_user
from shoploop.events.fresh import FreshHistory
from shoploop.events.log import BEGINNING, Entry
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.online.dead_letters import dead_letters, replay
from shoploop.online.joiner import Joiner
from shoploop.store import Store

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def shown(request: int, *items: str, at: datetime = NOON, surface: str = "items") -> Entry:
    answer = Shown(
        request_id=f"r{request}", user="ann", version="v1", surface=surface, method="fused", as_of="2026-01-05", time=at,
        items=list(items), scores=[None] * len(items), propensities=[1.0] * len(items),
    )  # fmt: skip
    return Entry(f"shown {request}", to_json(answer))


def clicked(request: int, item: str, *, at: datetime = NOON, came: datetime | None = None) -> Entry:
    event = Kept(
        source="attributed", kind="click", user="ann", item=item, time=at, received=came or at, request_id=f"r{request}"
    )
    return Entry(f"click {request} {item}", to_json(event))


def bought(request: int, item: str, *, at: datetime = NOON) -> Entry:
    event = Kept.model_validate_json(clicked(request, item, at=at).body).model_copy(update={"kind": "purchase"})
    return Entry(f"bought {request} {item}", to_json(event))


def passing(minutes: int) -> list[Entry]:
    """So much that others do that it is so late by the log's own time, too."""
    when = NOON + minutes * MINUTE
    views = [
        Kept(source="organic", kind="view", user="bob", item="tea", time=when, received=when, key=f"{number}")
        for number in range(120)
    ]
    return [Entry(f"view {minutes} {number}", to_json(view)) for number, view in enumerate(views)]


def letters(log):
    return [(letter.offset, letter.reason) for letter in dead_letters(log, after=BEGINNING)]


def examples(log):
    """What a learner makes of the whole log: what was chosen, and from what."""
    joiner, found = Joiner(), []
    for record in log.read(BEGINNING, limit=10_000):
        if message := joiner.read(record):
            found += [(example.chosen, example.among) for example in joiner.take(record.offset, message)]
    return found


def test_a_click_whose_answer_came_too_late_is_learned_when_it_is_replayed_and_is_no_dead_letter_any_more(log):
    log.append([clicked(1, "tea"), *passing(5), shown(1, "salt", "tea")])
    assert (letters(log), examples(log)) == ([(1, "no_impression")], [])
    done = replay(log, dead_letters(log, after=BEGINNING))
    assert (done.replayed, done.left) == ((1,), ())
    assert letters(log) == []
    assert examples(log) == [("tea", ("salt", "tea"))]
    assert replay(log, dead_letters(log, after=BEGINNING)).replayed == ()


def test_a_click_that_came_too_late_is_learned_if_it_says_that_it_happened_in_time(log):
    log.append([
        shown(1, "salt", "tea"),
        shown(2, "salt", "tea"),
        clicked(1, "tea", at=NOON + MINUTE, came=NOON + 200 * MINUTE),
        clicked(2, "tea", at=NOON + 199 * MINUTE, came=NOON + 200 * MINUTE),
    ])  # fmt: skip
    assert letters(log) == [(3, "late"), (4, "late")]
    done = replay(log, dead_letters(log, after=BEGINNING))
    assert (done.replayed, done.left) == ((3,), (4,))
    assert (letters(log), examples(log)) == ([(4, "late")], [("tea", ("salt", "tea"))])


def test_what_nothing_will_ever_be_learned_from_stays(log):
    log.append([Entry("junk", b"{"), shown(1, "salt"), clicked(1, "tea"), clicked(9, "tea"), *passing(5)])
    assert letters(log) == [(1, "unreadable"), (3, "not_shown"), (4, "no_impression")]
    done = replay(log, dead_letters(log, after=BEGINNING))
    assert (done.replayed, done.left) == ((), (1, 3, 4))
    assert len(letters(log)) == 3


def test_a_purchase_whose_answer_never_came_is_learned_and_no_dead_letter(log):
    log.append([bought(1, "tea"), *passing(5), shown(1, "salt", "tea")])
    assert (letters(log), examples(log)) == ([], [("tea", None)])
    assert replay(log, dead_letters(log, after=BEGINNING)).replayed == ()


def test_feedback_on_an_answer_that_the_version_was_trained_on_is_no_dead_letter(log):
    log.append([shown(1, "salt", "tea"), clicked(1, "tea"), *passing(5)])
    assert dead_letters(log, after=1) == []


def test_a_purchase_that_the_learner_failed_at_is_replayed_also_where_its_answer_is_not_in_the_log(log):
    log.append([bought(1, "tea"), *passing(5)])
    found = dead_letters(log, after=BEGINNING, failed=[1])
    assert [(letter.offset, letter.reason) for letter in found] == [(1, "failed")]
    assert replay(log, found).replayed == (1,)
    assert examples(log) == [("tea", None), ("tea", None)], "whoever failed learns the second alone, others the first"


def test_to_replay_twice_at_once_appends_once(log):
    log.append([clicked(1, "tea"), *passing(5), shown(1, "salt", "tea")])
    found = dead_letters(log, after=BEGINNING)
    assert replay(log, found) == replay(log, found)
    assert len(log.read(BEGINNING)) == 1 + 120 + 1 + 1


def test_what_is_replayed_counts_no_second_time_as_something_that_was_done(log, tmp_path):
    log.append([clicked(1, "tea"), *passing(5), shown(1, "salt", "tea")])
    before = FreshHistory(log)
    while before.catch_up():
        pass
    replay(log, dead_letters(log, after=BEGINNING))
    after = FreshHistory(log)
    while after.catch_up():
        pass
    assert after.of("ann") == before.of("ann") != ()
    assert compact(log, Store(str(tmp_path / "store")), "grocery").events == 121


class Interrupted:
    """A log to which something else is done just before the next append."""

    def __init__(self, log, do):
        self._log, self._do = log, do

    def __getattr__(self, name):
        return getattr(self._log, name)

    def append(self, entries):
        self._do()
        return self._log.append(entries)


def of_two(log):
    """Ann's click and bob's came before their answers; both can be learned from by now."""
    answer = Shown.model_validate_json(shown(2, "salt", "tea").body).model_copy(update={"user": "bob"})
    click = Kept.model_validate_json(clicked(2, "tea").body).model_copy(update={"user": "bob"})
    clicks = [clicked(1, "tea"), Entry("bob's", to_json(click))]
    log.append([*clicks, *passing(5), shown(1, "salt", "tea"), Entry("to bob", to_json(answer))])


def of_ann(log):
    return [record.offset for record in log.read(BEGINNING) if b'"ann"' in record.body]


def test_who_is_erased_while_their_dead_letters_are_replayed_does_not_come_back(log, tmp_path):
    store = Store(str(tmp_path / "store"))
    of_two(log)
    found = dead_letters(log, after=BEGINNING)
    done = replay(Interrupted(log, lambda: erase_user(log, store, "grocery", "ann", by="me")), found)
    assert (done.replayed, done.left) == ((2,), (1,))
    assert (of_ann(log), letters(log), examples(log)) == ([], [], [("tea", ("salt", "tea"))])


def test_who_is_erased_takes_what_was_replayed_of_them_along_and_no_older_replay_brings_it_back(log, tmp_path):
    store = Store(str(tmp_path / "store"))
    of_two(log)
    found = dead_letters(log, after=BEGINNING)
    assert replay(log, found).replayed == (1, 2)
    assert len(of_ann(log)) == 3
    assert erase_user(log, store, "grocery", "ann", by="me").records == 3
    assert replay(log, found).replayed == (2,)
    assert (of_ann(log), letters(log)) == ([], [])


def test_of_a_dead_letter_that_is_replayed_while_its_user_is_erased_nothing_is_left(log, tmp_path):
    store = Store(str(tmp_path / "store"))
    of_two(log)
    found = dead_letters(log, after=BEGINNING)

    class Slow(Interrupted):
        def append(self, entries):
            return self._log.append(entries)

        def erase(self, offsets):
            if self._do:
                do, self._do = self._do, None
                do()
            self._log.erase(offsets)

    erase_user(Slow(log, lambda: replay(log, found)), store, "grocery", "ann", by="me")
    assert (of_ann(log), letters(log)) == ([], [])
