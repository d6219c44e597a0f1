"""What every event log promises, over each kind of it."""

import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shoploop.events.kafka_log import KafkaLog
from shoploop.events.log import BEGINNING, MAX_ENTRY_BYTES, Entry, LogUnavailable


def entries(*ids: str) -> list[Entry]:
    return [Entry(id, f"body of {id}".encode()) for id in ids]


def ids(records) -> list[str]:
    return [record.id for record in records]


def everything(log, after=BEGINNING, *, limit=1000):
    found = []
    while more := log.read(found[-1].offset if found else after, limit=limit):
        found += more
    return found


def test_a_new_log_is_empty(open_one):
    log = open_one()
    assert log.end() == BEGINNING
    assert log.read(BEGINNING) == []


def test_what_was_appended_is_read_in_its_order(open_one):
    log = open_one()
    first = log.append(entries("a", "b"))
    second = log.append(entries("c"))
    found = log.read(BEGINNING)
    assert ids(found) == ["a", "b", "c"]
    assert [record.offset for record in found] == [*first, *second]
    assert [record.body for record in found] == [b"body of a", b"body of b", b"body of c"]
    assert log.end() == second[0]


def test_offsets_grow_from_one(open_one):
    log = open_one()
    offsets = log.append(entries("a", "b", "c"))
    assert offsets[0] >= 1
    assert offsets == sorted(set(offsets))


def test_one_who_knows_an_offset_reads_what_came_after_it(open_one):
    log = open_one()
    a, b, _ = log.append(entries("a", "b", "c"))
    assert ids(log.read(a)) == ["b", "c"]
    assert ids(log.read(b)) == ["c"]
    assert ids(log.read(BEGINNING, limit=2)) == ["a", "b"]
    assert ids(everything(log, limit=1)) == ["a", "b", "c"]


def test_a_retried_append_doubles_nothing(open_one):
    log = open_one()
    once = log.append(entries("a", "b"))
    assert log.append(entries("a", "b")) == once
    assert log.append(entries("b", "c", "c"))[0] == once[1]
    assert ids(everything(log)) == ["a", "b", "c"]


def test_a_log_ends_with_its_last_entry_however_often_that_is_appended_again(open_one):
    log = open_one()
    (offset,) = log.append(entries("a"))
    for _ in range(3):
        log.append(entries("a", "a"))
    assert log.end() == offset
    assert log.append(entries("b")) == [offset + 1]


def test_a_retry_at_another_predictor_doubles_nothing(open_one):
    one, other = open_one(), open_one()
    once = one.append(entries("a"))
    assert other.append(entries("a", "b"))[0] == once[0]
    assert one.append(entries("b", "c"))[0] == other.read(once[0])[0].offset
    assert ids(everything(one)) == ids(everything(other)) == ["a", "b", "c"]


def test_the_first_body_of_an_id_is_the_one_that_counts(open_one):
    log = open_one()
    log.append([Entry("a", b"first")])
    log.append([Entry("a", b"second")])
    assert [record.body for record in everything(log)] == [b"first"]


def test_a_log_that_is_opened_again_holds_what_was_appended(open_one):
    log = open_one()
    offsets = log.append(entries("a", "b"))
    log.close()
    again = open_one()
    assert [record.offset for record in again.read(BEGINNING)] == offsets
    assert again.append(entries("b", "c"))[0] == offsets[1]


def test_many_writers_of_one_log_lose_and_double_nothing(open_one):
    logs = [open_one() for _ in range(3)]
    failed = []

    def write(number: int) -> None:
        try:
            for batch in range(10):
                # every third entry is given to all writers
                mine = [f"{number}-{batch}", f"shared-{batch}"]
                logs[number].append(entries(*mine))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    wanted = {f"{number}-{batch}" for number in range(3) for batch in range(10)} | {f"shared-{n}" for n in range(10)}
    for log in logs:
        found = everything(log)
        assert sorted(ids(found)) == sorted(wanted)
        assert [record.offset for record in found] == sorted(record.offset for record in found)
    assert everything(logs[0]) == everything(logs[1]) == everything(logs[2])


def test_a_reader_who_waits_gets_what_comes(open_one):
    log, other = open_one(), open_one()
    timer = threading.Timer(0.2, lambda: other.append(entries("late")))
    timer.start()
    try:
        assert ids(log.read(BEGINNING, wait_seconds=30)) == ["late"]
    finally:
        timer.join()


def test_who_appends_does_not_wait_for_who_waits_to_read_the_same_log(open_one):
    log = open_one()
    read = []
    reader = threading.Thread(target=lambda: read.extend(log.read(BEGINNING, wait_seconds=8)))
    reader.start()
    time.sleep(0.3)  # it waits by now
    log.append(entries("meanwhile"))
    reader.join()
    assert ids(read) == ["meanwhile"]


def test_one_who_waits_in_vain_gets_nothing(open_one):
    assert open_one().read(BEGINNING, wait_seconds=0.05) == []


def test_what_was_trimmed_is_gone_and_offsets_go_on(open_one):
    log = open_one()
    offsets = log.append(entries("a", "b", "c"))
    log.trim(offsets[2])
    assert ids(log.read(BEGINNING)) == ["c"]
    log.trim(offsets[2])  # once more changes nothing
    assert ids(log.read(offsets[0])) == ["c"]
    log.trim(offsets[2] + 1)
    assert log.read(BEGINNING) == []
    assert log.end() == offsets[2]
    assert log.append(entries("d"))[0] > offsets[2]
    assert ids(everything(log)) == ["d"]


def test_a_log_tells_up_to_where_it_was_trimmed(open_one):
    log = open_one()
    assert log.begin() == BEGINNING
    offsets = log.append(entries("a", "b", "c"))
    assert log.begin() == BEGINNING
    log.trim(offsets[2])
    assert log.begin() == offsets[2] - 1
    assert ids(log.read(log.begin())) == ["c"]
    log.trim(offsets[2] + 1)
    assert log.begin() == log.end() == offsets[2]
    log.append(entries("d"))
    assert log.begin() == offsets[2]
    assert ids(open_one().read(offsets[2])) == ["d"]


def test_what_comes_after_all_was_trimmed_and_more_was_asked_for_is_not_trimmed(open_one):
    log = open_one()
    offsets = log.append(entries("a", "b", "c"))
    log.erase(offsets[1:2])
    end = log.end()
    log.trim(end + 100)
    assert log.begin() == end
    log.append(entries("d", "e"))
    assert (log.begin(), ids(log.read(BEGINNING))) == (end, ["d", "e"])


def test_trimming_does_not_forget_ids_that_stay(open_one):
    log = open_one()
    offsets = log.append(entries("a", "b"))
    log.trim(offsets[1])
    assert log.append(entries("b")) == [offsets[1]]


def test_nothing_to_append_is_no_entry(open_one):
    log = open_one()
    assert log.append([]) == []
    assert log.end() == BEGINNING


@pytest.mark.parametrize(
    "entry", [Entry("", b"x"), Entry("i" * 201, b"x"), Entry("a", b"x" * (MAX_ENTRY_BYTES + 1))], ids=str
)
def test_an_entry_that_no_log_takes_is_refused_and_its_batch_with_it(open_one, entry):
    log = open_one()
    with pytest.raises(ValueError, match="entry"):
        log.append([Entry("good", b""), entry])
    assert log.read(BEGINNING) == []


def test_a_closed_log_says_so(open_one):
    log = open_one()
    log.close()
    log.close()
    with pytest.raises(LogUnavailable):
        log.read(BEGINNING)
    with pytest.raises(LogUnavailable):
        log.append(entries("a"))


def test_any_text_is_an_id_and_any_bytes_are_a_body(open_one):
    """What text and bytes there are: a NUL, nothing but a NUL, an emoji, no valid UTF-8 in a body."""
    log = open_one()
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)

    @settings(max_examples=25)
    @example(given=[("nothing but a NUL", b"\0")])
    @given(given=st.lists(st.tuples(text, st.binary(max_size=50)), max_size=8))
    def holds(given):
        before = log.end()
        known = {record.id for record in everything(log)}
        log.append([Entry(id, body) for id, body in given])
        first: dict[str, bytes] = {}
        for id, body in given:
            if id not in known:
                first.setdefault(id, body)
        assert {record.id: record.body for record in everything(log, before)} == first

    holds()


def test_what_was_erased_is_told_to_nobody_and_all_else_stays_where_it_was(open_one):
    log, other = open_one(), open_one()
    offsets = log.append(entries("a", "b", "c", "d"))
    before = everything(other)
    log.erase([offsets[0], offsets[2]])
    log.erase([offsets[0]])
    for each in (log, other, open_one()):
        assert everything(each) == everything(each, limit=1) == [before[1], before[3]]
        assert each.begin() == BEGINNING
        assert each.end() >= offsets[3]
    assert ids(log.read(offsets[0])) == ["b", "d"]


def test_what_comes_after_something_was_erased_is_appended_read_and_trimmed_as_ever(open_one):
    log = open_one()
    offsets = log.append(entries("a", "b", "c"))
    log.erase([offsets[0], offsets[2]])
    [d] = log.append(entries("d"))
    assert d > offsets[2]
    assert log.append(entries("b")) == [offsets[1]]
    assert ids(everything(log)) == ["b", "d"]
    log.trim(d)
    assert ids(everything(log)) == ["d"]
    assert offsets[2] <= log.begin() < d
    log.trim(d + 1)
    assert everything(log) == []
    assert d <= log.begin() <= log.end()


def test_a_log_all_of_which_was_erased_was_not_trimmed(open_one):
    log = open_one()
    log.erase(log.append(entries("a", "b")))
    assert (everything(log), log.begin()) == ([], BEGINNING)
    assert ids(log.read(BEGINNING, wait_seconds=0.01)) == []


def test_what_tells_once_more_of_an_entry_that_is_gone_is_not_written(open_one):
    log, other = open_one(), open_one()
    a, b, c = log.append(entries("a", "b", "c"))
    log.trim(b)
    other.erase([b])
    again = [Entry(f"again {of}", b"again", of=of) for of in (a, b, c)]
    *gone, kept = log.append([*again, *entries("d")])[:3]
    assert gone == [BEGINNING, BEGINNING] and kept > c
    assert log.append(again) == [BEGINNING, BEGINNING, kept]
    for each in (log, other, open_one()):
        assert ids(everything(each)) == ["c", f"again {c}", "d"]


def test_an_entry_that_is_erased_while_it_is_told_of_once_more_is_not(open_one, monkeypatch):
    log, other = open_one(), open_one()
    a, b = log.append(entries("a", "b"))
    if isinstance(log, KafkaLog):  # the others look and write in one
        produce = log._produce

        def late(*args):
            other.erase([a])
            monkeypatch.setattr(log, "_produce", produce)
            produce(*args)

        monkeypatch.setattr(log, "_produce", late)
    else:
        other.erase([a])
    told = log.append([Entry("again a", b"again", of=a), Entry("again b", b"again", of=b)])
    assert told[0] == BEGINNING and told[1] > b
    for each in (log, other, open_one()):
        assert ids(everything(each)) == ["b", "again b"]
