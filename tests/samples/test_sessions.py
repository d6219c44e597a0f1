"""Logs of sessions: people who come once, and are asked for in the middle of their visit."""

from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from shop import EPOCH, FIRST, Shop

from shoploop.api.v1alpha1 import TaskSpec, TrainingSpec
from shoploop.data.moments import in_sessions
from shoploop.data.splits import SESSION_VISITS, TimeSplit, choose_split
from shoploop.features.history import History, bought_on, history_of, moments_of
from shoploop.features.item_pairs import PairsAfter
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.samples.sample_set import Request
from shoploop.samples.step import MOMENTS_A_VISIT, choose_requests, choose_visits

CLICKS = ("hat", "coat", "hat", "scarf", "glove")
NAMES = tuple(sorted(set(CLICKS)))
STRANGERS = 120


def clicks(users=STRANGERS, *, minutes=1, days=1):
    """Each user looks at the same five things, on one day a minute after the other; on further days again."""
    rows = [
        (f"u{user:03}", item, EPOCH + timedelta(days=FIRST + user % 7 + 10 * day, minutes=minutes * place))
        for user in range(users)
        for day in range(days)
        for place, item in enumerate(CLICKS)
    ]
    frame = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    frame = frame.with_columns(
        pl.col("time").cast(pl.Datetime("us", "UTC")),
        kind=pl.lit("purchase"),
        quantity=pl.lit(1.0),
        price=pl.lit(None, pl.Float64),
        shop=pl.lit(None, pl.String),
    )
    return purchases(frame)


def log_of(bought):
    return PurchaseLog.of(bought, Vocabulary(NAMES))


def names(codes):
    return [NAMES[code] for code in codes]


def test_strangers_who_click_along_make_a_log_of_sessions():
    assert in_sessions(clicks())


def test_a_till_that_writes_all_of_a_basket_at_one_time_does_not():
    assert not in_sessions(clicks(minutes=0))


def test_people_who_come_back_do_not():
    assert not in_sessions(clicks(days=3))


def test_a_handful_of_visits_says_nothing():
    assert not in_sessions(clicks(users=20))


def test_whoever_knows_better_says_whether_a_log_is_of_sessions():
    assert in_sessions(clicks(days=3), TaskSpec(sessions=True)) and not in_sessions(clicks(), TaskSpec(sessions=False))


def test_the_made_up_grocer_has_no_sessions():
    log = Shop().log()
    assert not log.sessions
    assert not log.moment_R.any()


def test_an_item_is_of_the_moment_in_which_it_was_first_clicked():
    log = log_of(clicks())
    first = slice(0, len(NAMES))
    assert dict(zip(names(log.item_R[first]), log.moment_R[first].tolist(), strict=True)) == {
        "hat": 0,
        "coat": 1,
        "scarf": 2,
        "glove": 3,
    }


def test_a_request_sees_the_moments_behind_it_and_has_to_find_those_ahead():
    log = log_of(clicks())
    day = int(log.day_R[0])
    seen = history_of(log, 0, before=day, seen=2)
    assert names(seen.items_H) == ["hat", "coat"]
    assert seen.visits_H.tolist() == [0, 1]
    assert names(bought_on(log, 0, day=day, seen=2)) == ["glove", "scarf"]
    assert len(history_of(log, 0, before=day)) == 0
    assert Request(user=0, day=day, seen=2).as_of == day + 1
    assert Request(user=0, day=day).as_of == day


def test_what_others_do_on_the_same_day_is_not_known():
    log = log_of(clicks())
    day = int(log.day_R[0])
    seen = history_of(log, 0, before=day, seen=2)
    others = log.where((log.user_R == 0) | (log.day_R != day))
    again = history_of(others, 0, before=day, seen=2)
    for name, value in vars(seen).items():
        np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)


def test_requests_are_made_before_any_of_a_visits_moments_and_never_behind_the_last():
    log = log_of(clicks())
    split = TimeSplit(training_first=FIRST + 1, evaluation_first=FIRST + 5, last=FIRST + 6)
    chosen = choose_requests(log, split, seed=0)
    for requests in (chosen.train, chosen.validation, chosen.evaluation):
        assert {request.seen for request in requests} == {0, 1, 2, 3}
    assert chosen == choose_requests(log, split, seed=0)


def test_a_visit_is_learned_from_before_each_of_its_moments_and_evaluated_on_once():
    log = log_of(clicks())
    chosen = choose_requests(
        log, TimeSplit(training_first=FIRST + 1, evaluation_first=FIRST + 5, last=FIRST + 6), seed=0
    )
    assert len(chosen.train) == 4 * len({request.user for request in chosen.train})
    assert len(chosen.evaluation) == len({request.user for request in chosen.evaluation})


def visits_of(moments):
    """Forty visits on each of four days, every one of another user; the first of a day has so many moments, others three."""
    user_V, day_V = np.arange(160, dtype=np.int32), np.repeat(np.arange(4, dtype=np.int32), 40)
    moments_V = np.where(user_V % 40 == 0, moments, 3).astype(np.int32)
    split = TimeSplit(training_first=0, evaluation_first=3, last=3)
    return [choose_visits(user_V, day_V, split, seed=seed, moments_V=moments_V, latest=True) for seed in range(10)]


def test_somebody_who_clicks_all_day_is_not_most_of_what_is_learned_from_or_validated_on():
    for chosen in visits_of(450):
        asked = [request for request in (*chosen.train, *chosen.validation) if request.user % 40 == 0]
        assert set(Counter(request.user for request in asked).values()) == {MOMENTS_A_VISIT}
        assert len({(request.user, request.seen) for request in asked}) == len(asked)
        assert max(request.seen for request in asked) > MOMENTS_A_VISIT, "drawn from all of the day"
    assert visits_of(450) == visits_of(450)


def test_of_a_visit_with_few_moments_each_is_asked_for():
    for chosen in visits_of(MOMENTS_A_VISIT):
        asked = Counter(request.user for request in (*chosen.train, *chosen.validation))
        assert all(count == (MOMENTS_A_VISIT if user % 40 == 0 else 3) for user, count in asked.items())


def test_what_is_validated_on_is_of_a_later_day_than_all_that_is_learned_from():
    log = log_of(clicks())
    chosen = choose_requests(
        log, TimeSplit(training_first=FIRST + 1, evaluation_first=FIRST + 5, last=FIRST + 6), seed=0
    )
    assert {request.day for request in chosen.validation} == {FIRST + 4}
    assert {request.day for request in chosen.train} == {FIRST + 1, FIRST + 2, FIRST + 3}


def test_what_follows_is_told_within_the_visit():
    log = log_of(clicks())
    after = PairsAfter(log, day_decays=(30.0,))
    after.advance(FIRST + 8)
    found = after.followers(0, kept=3, shrinkage=0.0)
    hat = NAMES.index("hat")
    assert names(found.items_IP[hat]) == ["coat", "scarf", "glove"]
    assert (np.diff(found.weights_IP[hat]) < 0).all()
    assert found.weights_IP[NAMES.index("glove")].max() == 0


def test_where_the_last_day_alone_has_visits_enough_it_is_learned_from_too():
    log = log_of(clicks(240))
    few = log.where((log.day_R != FIRST + 4) | (log.user_R == 4))
    split = TimeSplit(training_first=FIRST + 4, evaluation_first=FIRST + 6, last=FIRST + 6)
    chosen = choose_requests(few, split, seed=0)
    assert len({request.user for request in chosen.train}) >= 20
    assert not {request.user for request in chosen.train} & {request.user for request in chosen.validation}


def test_of_sessions_the_latest_days_that_hold_enough_are_learned_from_and_one_more_to_validate_on():
    users, days = np.arange(40_000), np.repeat(np.arange(40), 1_000)
    split = choose_split(users, days, last=39, training=TrainingSpec(), sessions=True)
    usual = choose_split(users, days, last=39, training=TrainingSpec())
    assert split.evaluation_first - split.training_first == 1 + SESSION_VISITS // 1_000
    assert usual.training_first < split.training_first


EVENTS = st.lists(st.tuples(st.integers(-1, 5), st.integers(100, 102)), max_size=12)


@given(EVENTS)
def test_visits_of_a_day_follow_the_order_in_which_its_events_came(events):
    codes = np.array([code for code, _ in events], np.int32)
    days = np.array([day for _, day in events], np.int32)
    history = History.empty().with_events(codes, days, np.ones(len(events), np.float32), moments_of(days))
    last = int(days.max(initial=0))
    wanted = list(dict.fromkeys(code for code, day in events if day == last and code >= 0))
    assert history.items_H[history.days_H == last].tolist() == wanted
    whole_days = len({day for code, day in events if code >= 0 and day != last})
    assert history.visits == whole_days + len(wanted)
    assert (np.diff(history.visits_H) >= 0).all()
