"""A model may be judged again: each verdict stays, and the last one counts."""

from shoploop.store import Store
from shoploop.versions.verdicts import Verdict, latest_verdict, record_verdict

REFUSED = Verdict(passed=False, reason="worse than what serves", rule="NotWorse")
LET_IN = Verdict(passed=True, reason="the rule is Always", rule="Always")


def test_a_version_that_nobody_judged_has_no_verdict(tmp_path):
    assert latest_verdict(Store(str(tmp_path)), "grocery", "v1") is None


def test_the_last_verdict_counts_and_the_earlier_one_stays(tmp_path):
    store = Store(str(tmp_path))
    for verdict in (REFUSED, LET_IN):
        record_verdict(store, "grocery", "v1", verdict)
    assert latest_verdict(store, "grocery", "v1").passed
    assert len(list(store.list("recommenders/grocery/verdicts/v1/"))) == 2


def test_the_same_verdict_is_not_written_twice(tmp_path):
    store = Store(str(tmp_path))
    for _ in range(2):
        record_verdict(store, "grocery", "v1", REFUSED)
    assert latest_verdict(store, "grocery", "v1").reason == "worse than what serves"
    assert len(list(store.list("recommenders/grocery/verdicts/v1/"))) == 1


def test_a_verdict_of_one_version_is_none_of_another(tmp_path):
    store = Store(str(tmp_path))
    record_verdict(store, "grocery", "v1", REFUSED)
    assert latest_verdict(store, "grocery", "v10") is None
