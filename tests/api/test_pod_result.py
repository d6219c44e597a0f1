"""What a pod says at its end is what the operator reads, or it is nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploop.api.pod_result import (
    LIMIT_BYTES,
    DataSeen,
    Incumbent,
    NothingNew,
    PartDone,
    ResultUnreadable,
    StepsFailed,
    VersionMade,
    read,
    written,
)

ids = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
letters = st.characters(codec=None)  # half surrogates, controls and all
texts = st.one_of(st.text(letters), st.builds(lambda text, times: text * times, st.text(letters), st.integers(1, 600)))
metrics = st.dictionaries(
    st.from_regex(r"[!-~]{1,64}", fullmatch=True), st.floats(allow_nan=False, allow_infinity=False), max_size=80
)
incumbents = st.builds(Incumbent, version=ids, compared=st.booleans(), why_not=st.none() | texts)
versions = st.builds(
    VersionMade,
    version=ids, parent=st.none() | ids, source=ids, metrics=metrics,
    rule=st.sampled_from(["NotWorse", "Better", "Always"]), passed=st.booleans(), reason=texts,
    incumbent=st.none() | incumbents,
    digest=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)  # fmt: skip
failures = st.builds(StepsFailed, error=ids, message=texts, source=st.none() | ids)
nothing = st.builds(NothingNew, reason=texts, source=st.none() | ids)
results = st.one_of(st.builds(PartDone), st.builds(DataSeen, source=ids), nothing, failures, versions)

MADE = VersionMade(
    version="v00000000000a", source="a" * 64, rule="NotWorse", passed=False, reason="It is worse.", digest="b" * 64,
    metrics={"ndcg@10": 0.25},
)  # fmt: skip


@given(results)
def test_whatever_is_written_fits_and_is_read_back_with_all_but_its_long_texts(result):
    message = written(result)
    assert len(message.encode()) <= LIMIT_BYTES
    found = read(message)
    long = {"reason", "message", "metrics"}
    assert type(found) is type(result) and found.model_dump(exclude=long) == result.model_dump(exclude=long)


@given(versions)
def test_a_verdict_stays_the_boolean_that_it_was(result):
    assert json.loads(written(result))["passed"] is read(written(result)).passed is result.passed


@given(incumbents)
def test_why_a_version_was_not_compared_is_bounded_as_soon_as_it_is_said(incumbent):
    assert incumbent.why_not is None or len(incumbent.why_not) <= 300


@given(versions)
def test_metrics_go_before_a_word_of_the_reason_does(result):
    found = read(written(result))
    assert found.metrics in (result.metrics, {})
    if found.reason != result.reason:
        assert found.metrics == {}
        assert found.reason.endswith("…") and result.reason.startswith(found.reason[:-1])


@pytest.mark.parametrize("letter", ["a", "ü", "猫", "🐈", '"', "\0"])
def test_a_long_reason_is_cut_only_as_far_as_it_has_to_be(letter):
    message = written(MADE.model_copy(update={"reason": letter * 5000}))
    assert LIMIT_BYTES - 8 < len(message.encode()) <= LIMIT_BYTES


def test_what_fits_is_written_whole():
    assert read(written(MADE)) == MADE


@given(results, st.data())
def test_a_message_that_was_cut_is_no_result(result, data):
    whole = written(result)
    with pytest.raises(ResultUnreadable):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))])


GOOD = json.loads(written(MADE))


@pytest.mark.parametrize(
    "message",
    [
        None, "", " ", "Traceback (most recent call last):", "[]", "null", "true", "{}", '{"kind": "VersionMade"}',
        json.dumps(GOOD | {"passed": "False"}),
        json.dumps(GOOD | {"passed": "true"}),
        json.dumps(GOOD | {"passed": 1}),
        json.dumps(GOOD | {"passed": None}),
        json.dumps({key: value for key, value in GOOD.items() if key != "passed"}),
        json.dumps({key: value for key, value in GOOD.items() if key != "kind"}),
        json.dumps(GOOD | {"kind": "Passed"}),
        json.dumps(GOOD | {"more": 1}),
        json.dumps(GOOD | {"digest": "b" * 63}),
        json.dumps(GOOD | {"version": "../other"}),
    ],
)  # fmt: skip
def test_anything_else_is_no_result(message):
    with pytest.raises(ResultUnreadable):
        read(message)
