"""Which days are chosen, on visits whose right answer is plain to the eye."""

import numpy as np
import pytest

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.data.splits import choose_split, refuse_too_little
from shoploop.errors import TooFewEvents

FIRST = 20_000


def visits(days, users, every=1):
    """Each user comes every ``every`` days, one a day later than the other."""
    pairs = [(user, FIRST + day) for day in range(days) for user in range(users) if (day + user) % every == 0]
    user, day = np.array(pairs).T
    return user, day


def chosen(user, day, **training):
    split = choose_split(user, day, last=int(day.max()), training=TrainingSpec(**training))
    return split.evaluation_first - split.training_first, split.last - split.evaluation_first + 1, split.why


def test_a_year_with_many_users_is_split_as_usual():
    assert chosen(*visits(365, 500, every=10)) == (42, 14, "evaluationDays 14, as usual; trainingDays 42, as usual.")


@pytest.mark.parametrize(("days", "evaluated"), [(8, 2), (11, 2), (28, 7), (56, 14)])
def test_short_logs_give_a_quarter_of_their_visits_to_evaluation_and_a_third_of_the_rest_to_history(days, evaluated):
    learned, judged, why = chosen(*visits(days, 40))
    assert judged == evaluated
    assert learned == (days - evaluated) - (days - evaluated) // 3
    assert "by what the log holds" in why


def test_a_long_sparse_log_is_evaluated_until_half_of_its_users_are_in_it():
    user, day = visits(20 * 365, 60, every=180)
    learned, judged, _ = chosen(user, day)
    assert len(set(user[day > day.max() - judged])) == 30
    assert learned > 10 * 42


def test_the_spec_has_the_last_word():
    user, day = visits(100, 40)
    assert chosen(user, day, evaluation_days=30, training_days=10)[:2] == (10, 30)


def test_history_stays_history_where_more_days_are_asked_for_than_there_are():
    learned, _, why = chosen(*visits(60, 40), evaluation_days=15, training_days=2000)
    assert learned == 30
    assert "trainingDays 30 of the 2000 that the spec names" in why


def test_a_shop_that_grows_fast_is_split_by_its_visits_and_not_by_its_days():
    user = np.arange(2**12)
    day = FIRST + np.floor(np.log2(user + 1)).astype(int) * 7
    split = choose_split(user, day, last=int(day.max()), training=TrainingSpec())
    assert (day >= split.evaluation_first).any()
    assert ((day >= split.training_first) & (day < split.evaluation_first)).sum() >= 1000


def test_days_at_the_end_without_a_visit_are_no_reason_to_evaluate_on_none():
    user, day = visits(100, 40)
    split = choose_split(user, day, last=int(day.max()) + 30, training=TrainingSpec())
    assert len(set(user[day >= split.evaluation_first])) >= 20


def closed(first, last, days=100, users=40):
    """Everybody comes every day, but on the days from ``first`` to ``last`` the shop is closed."""
    user, day = visits(days, users)
    open_ = (day < FIRST + first) | (day > FIRST + last)
    return user[open_], day[open_]


def refused(user, day, *, last=FIRST + 99, **named):
    training = TrainingSpec(**named)
    split = choose_split(user, day, last=last, training=training)
    with pytest.raises(TooFewEvents) as error:
        refuse_too_little(user, day, split, training=training)
    return str(error.value)


def test_days_of_evaluation_in_which_nobody_came_are_refused_with_a_number_that_would_do():
    user, day = closed(93, 99)
    why = refused(user, day, evaluation_days=5)
    assert "0 users bought something in the 5 days of evaluation" in why
    assert "evaluationDays 5, as the spec names them" in why
    assert why.endswith("Leave spec.training.evaluationDays out, or set it to 14.")
    training = TrainingSpec(evaluation_days=14)
    refuse_too_little(user, day, choose_split(user, day, last=FIRST + 99, training=training), training=training)


def test_days_to_learn_from_in_which_nobody_came_are_refused_with_a_number_that_would_do():
    why = refused(*closed(80, 89), evaluation_days=10, training_days=3)
    assert "0 lie in the 3 days to learn from" in why
    # those of evaluation are looked at first: of 18, the three days before them begin on day 79, on which it was open
    assert why.endswith("Leave spec.training.evaluationDays out, or set it to 18.")


def test_days_to_learn_from_that_no_other_days_of_evaluation_could_fill_are_to_be_left_out():
    user, day = visits(100, 40, every=40)  # one visit a day: one day never holds twenty
    why = refused(user, day, training_days=1)
    assert why.endswith("Leave spec.training.trainingDays out, or set it to 54.")


def test_where_both_are_named_and_neither_alone_would_do_both_are_said():
    why = refused(*visits(100, 40, every=40), evaluation_days=1, training_days=1)
    assert why.endswith("Leave spec.training.evaluationDays and trainingDays out, or set them to 20 and 54.")


def test_of_a_log_that_is_too_small_whatever_is_named_no_number_is_said():
    assert refused(*visits(100, 3), evaluation_days=5).endswith("Bring more days or users.")


def test_where_days_to_learn_from_are_named_those_of_evaluation_reach_back_until_they_lie_where_somebody_came():
    learned, judged, why = chosen(*closed(80, 85), training_days=5)
    assert (learned, judged) == (5, 13), "of the days to learn from, 82 to 86, it was open again on the last"
    assert why.startswith(
        "evaluationDays 13, fewer than the usual 14, by what the log holds; trainingDays 5, as the spec"
    )


def crowds(*counts, users=400):
    """So many visits on each day, of users in turn."""
    day = FIRST + np.repeat(np.arange(len(counts)), counts)
    user = np.arange(len(day)) % users
    return user, day


@pytest.mark.parametrize(
    "counts", [(40,) * 3, (80, 30, 30, 30), (400, 30, 30, 30), (80, *(25,) * 7), (300, *(9,) * 39)]
)
@pytest.mark.parametrize("sessions", [False, True])
def test_before_the_first_day_nothing_is_known_so_it_is_history_however_much_was_bought_on_it(counts, sessions):
    user, day = crowds(*counts)
    training = TrainingSpec()
    split = choose_split(user, day, last=int(day.max()), training=training, sessions=sessions)
    assert FIRST < split.training_first < split.evaluation_first
    refuse_too_little(user, day, split, training=training, sessions=sessions)


def test_the_first_day_is_history_also_where_the_spec_asks_for_it():
    assert chosen(*crowds(80, 30, 30, 30), evaluation_days=1, training_days=3)[0] == 2


def test_a_log_that_has_no_day_between_the_first_and_those_of_evaluation_is_refused():
    why = refused(*crowds(50, 50), last=FIRST + 1)
    assert "0 lie in the one day to learn from" in why
    assert "The first day of the log does not count: nothing is known before it." in why
