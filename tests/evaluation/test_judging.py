"""A version is judged on the answers of the one that serves: from the event log to the gate."""

import weakref
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import polars as pl
import pytest
from shop import FIRST, Shop
from shop.serving import MemoryJoins

from shoploop.api.exploration import ExplorationSpec
from shoploop.api.v1alpha1 import GateSpec
from shoploop.data.collected import SHOWN_FILE, write_shown
from shoploop.evaluation import judging
from shoploop.evaluation.exploration import cost
from shoploop.evaluation.gate import decide, judged
from shoploop.evaluation.judging import judge
from shoploop.evaluation.scoring import model_scores
from shoploop.events.compaction import compact
from shoploop.events.cuts import fetch_collected
from shoploop.events.log import Entry
from shoploop.events.messages import Exploration, Kept, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.features.contract import Contract
from shoploop.ranking.exploration import Design, draw
from shoploop.samples.by_day import ByDay
from shoploop.samples.files import read_samples
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")

DAY = FIRST + 55
NOON = datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=DAY)
SERVES = "v0123456789ab"


def answered(number, user, ranking, *, shown, time=NOON, version=SERVES):
    design = Design(share=1.0, keep=0, shown=shown, pool=len(ranking))
    ranks = draw(design, seed=0, request_id=str(number))
    return Shown(
        request_id=str(number), user=user, version=version, surface="items", method="fused", as_of="x", time=time,
        items=[ranking[rank] for rank in ranks], scores=[1.0] * shown, propensities=[1.0] * shown,
        exploration=Exploration(share=1.0, keep=0, ranking=list(ranking)),
    )  # fmt: skip


def clicked(shown, item):
    kept = Kept(
        source="attributed", kind="click", user=shown.user, item=item, time=shown.time, received=shown.time,
        request_id=shown.request_id,
    )  # fmt: skip
    return Entry(f"c{shown.request_id}{item}", to_json(kept))


def test_answers_and_what_was_taken_of_them_come_from_the_log_to_the_tables_of_a_run(make_store, tmp_path):
    store = make_store()
    first, second = answered(1, "ann", ("milk", "tea", "jam"), shown=2), answered(2, "bob", ("tea", "salt"), shown=1)
    plain = second.model_copy(update={"request_id": "3", "exploration": None})
    with SqliteLog(tmp_path / "events.sqlite") as log:
        log.append([Entry(f"i:{each.request_id}", to_json(each)) for each in (first, second, plain)])
        log.append([clicked(first, first.items[0])])
        cut = compact(log, store, "grocery")
    assert cut.events == 1
    write_shown(fetch_collected(store, "grocery", cut.number, tmp_path / "here"), tmp_path)
    table = pl.read_parquet(tmp_path / SHOWN_FILE).sort("request_id")
    assert table.select("request_id", "ranking", "taken").rows() == [
        ("1", ["milk", "tea", "jam"], [first.items[0]]),
        ("2", ["tea", "salt"], []),
    ]


@pytest.fixture(scope="module")
def trained(trained_shop):
    return TrainedModel.of_version(load_version(trained_shop / "model"))


def write(folder, rows):
    pl.DataFrame(rows, schema_overrides={"taken": pl.List(pl.String)}).write_parquet(folder / SHOWN_FILE)


def rows(taken_by_rank, *, ranking, answers=4_000, days=0, version=SERVES):
    """Answers with this ranking to all shoppers in turn, who take the item of each rank so often."""
    rng, people = np.random.default_rng(0), [user for user in Shop().log().users]
    found = []
    for number in range(answers):
        user = people[number % len(people)]
        shown = answered(number, user, ranking, shown=3, time=NOON + timedelta(days=days), version=version)
        taken = [item for item in shown.items if rng.random() < taken_by_rank[ranking.index(item)]]
        drawn = {"ranking": ranking, "share": 1.0, "keep": 0, "taken": taken}
        found.append(shown.model_dump(include={"request_id", "user", "time", "version", "surface", "items"}) | drawn)
    return found


RANKING = ["milk", "apples", "tea", "nuts", "salt"]


@pytest.fixture
def judgement(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("shoploop.evaluation.judging.LEAST_USERS", 10)  # fifteen shoppers are all there are
    log = Shop().log()
    joins = MemoryJoins(log)

    def of(*written, serving=(SERVES,)):
        write(tmp_path, [row for each in written for row in each])
        asked = {"days": (FIRST + 53, FIRST + 59), "confidence": 0.95, "seed": 0}
        return judge(tmp_path, trained=trained, serving=serving, log=log, joins=joins, **asked)

    of.joins = joins
    return of


def test_the_new_version_s_own_order_of_what_was_found_is_what_is_judged(judgement, trained, monkeypatch):
    """Scores that put salt first and milk last, where salt is taken and milk is not: better; and where it is not: worse."""
    order = {item: -place for place, item in enumerate(["salt", "nuts", "tea", "apples", "milk"])}
    codes = {int(trained.vocabulary.code(item)): float(score) for item, score in order.items()}
    monkeypatch.setattr(
        "shoploop.evaluation.judging._scores",
        lambda table, *_: [((user, day), codes) for user, day in table.select("user", "day").unique().rows()],
    )
    better = judgement(rows([0.1, 0.1, 0.1, 0.4, 0.6], ranking=RANKING))
    worse = judgement(rows([0.6, 0.4, 0.1, 0.1, 0.1], ranking=RANKING))
    assert better["code"] == worse["code"] == "measured"
    assert better["interval"][0] > 0.5 and worse["interval"][1] < -0.3


def test_a_trained_version_is_scored_on_the_requests_that_were_answered(judgement):
    found = judgement(rows([0.5, 0.2, 0.2, 0.2, 0.2], ranking=RANKING))
    assert (found["code"], found["answers"], found["users"]) == ("measured", 4_000, 15)
    assert found["support"] == pytest.approx(1) and found["interval"][0] < found["lift"] < found["interval"][1]


def test_statistics_of_many_days_are_not_read_at_once(judgement, monkeypatch):
    written = [rows([0.5, 0.2, 0.2, 0.2, 0.2], ranking=RANKING, answers=1_500, days=day) for day in range(3)]
    found, days = [], []
    for at_once in (10**6, len(Shop().vocabulary)):
        monkeypatch.setattr(judging, "ByDay", partial(ByDay, rows_at_once=at_once, rows_kept=at_once))
        found.append(judgement(*written))
        days.append(judgement.joins.days_at_once)
        judgement.joins.days_at_once = []
    assert days == [[3], [1, 1, 1]] and found[0]["code"] == "measured"
    assert found[0] == found[1]


def test_answers_of_another_version_or_of_days_that_were_learned_from_do_not_count(judgement):
    few = rows([0.5] * 5, ranking=RANKING, answers=100)
    before = rows([0.5] * 5, ranking=RANKING, days=-10)
    others = rows([0.5] * 5, ranking=RANKING, version="vffffffffffff")
    found = judgement(few, before, others)
    assert (found["code"], found["answers"]) == ("too_few_impressions", 100)


def test_answers_of_renewals_count_as_those_of_the_version_whose_weights_they_have(judgement):
    nights = [
        rows([0.5, 0.2, 0.2, 0.2, 0.2], ranking=RANKING, answers=500, days=night, version=f"v{night:012x}")
        for night in range(4)
    ]
    one = judgement(*nights, serving=["v000000000003"])
    assert (one["code"], one["answers"]) == ("too_few_impressions", 500)
    found = judgement(*nights, serving=[f"v{night:012x}" for night in range(4)])
    assert (found["code"], found["answers"]) == ("measured", 2_000)
    assert "of v000000000003 and others of the same weights" in found["facts"]


def test_of_too_many_answers_all_those_of_some_users_are_looked_at(judgement, monkeypatch):
    written = rows([0.5, 0.2, 0.2, 0.2, 0.2], ranking=RANKING, answers=3_000)
    whole = judgement(written)
    assert whole["answers"] == 3_000
    monkeypatch.setattr(judging, "MOST_ANSWERS", 3_000)
    assert judgement(written) == whole
    monkeypatch.setattr(judging, "MOST_ANSWERS", 2_000)
    some = judgement(written)
    assert (some["answers"], some["users"]) == (2_000, 10), "each of fifteen shoppers was given 200"
    assert judgement(written) == some


def test_of_all_scores_those_of_one_user_and_day_are_held(judgement, monkeypatch):
    class Scores(dict):
        """Can be watched."""

    held = []

    def watched(table, *_):
        before = []
        for of in table.select("user", "day").unique().rows():
            held.append(sum(each() is not None for each in before))
            own = Scores()
            before.append(weakref.ref(own))
            yield of, own
            del own

    monkeypatch.setattr(judging, "_scores", watched)
    judgement(rows([0.5, 0.2, 0.2, 0.2, 0.2], ranking=RANKING))
    assert len(held) == 15 and max(held) == 1


def test_without_any_answer_it_is_told_that_there_are_too_few(trained, tmp_path):
    log = Shop().log()
    found = judge(
        tmp_path,
        trained=trained,
        serving=[SERVES],
        log=log,
        joins=MemoryJoins(log),
        days=(0, 9**5),
        confidence=0.95,
        seed=0,
    )
    assert (found["code"], found["answers"]) == ("too_few_impressions", 0)


def bounds(counterfactual):
    better = {"than": "decay", "difference": 0.01, "interval": [0.005, 0.015]}
    incumbent = {"version": SERVES, "compared": True, "why_not": None} | better | {"than": "incumbent"}
    found = {"metric": "ndcg@10", "confidence": 0.95, "baseline": better, "incumbent": incumbent}
    return found | {"counterfactual": counterfactual}


def measured(low):
    return {"code": "measured", "facts": "Facts", "lift": low + 0.01, "interval": [low, low + 0.02]}


@pytest.mark.parametrize(
    ("told", "rule", "passes", "code"),
    [
        (measured(-0.02), "NotWorse", True, "counterfactual_passed"),
        (measured(-0.04), "NotWorse", False, "counterfactual_worse"),
        (measured(-0.02), "Better", False, "counterfactual_worse"),
        (measured(0.001), "Better", True, "counterfactual_passed"),
        ({"code": "too_few_impressions", "facts": "Facts"}, "NotWorse", False, "too_few_impressions"),
        ({"code": "too_little_support", "facts": "Facts"}, "NotWorse", False, "too_little_support"),
        (measured(-0.5), "Always", True, "counterfactual_worse"),
    ],
)
def test_the_gate_refuses_by_a_code_what_would_have_earned_less(told, rule, passes, code):
    verdict = decide(bounds(told), GateSpec(rule=rule, counterfactual=True))
    assert verdict["passed"] is passes
    assert verdict["counterfactual"]["code"] == code and f"({code})" in verdict["reason"]


def test_a_gate_that_is_not_asked_does_not_look():
    verdict = decide(bounds(measured(-0.5)), GateSpec())
    assert verdict["passed"] and "counterfactual" not in verdict


def test_what_was_told_is_not_changed_by_judging_it():
    told = measured(-0.5)
    judged(told, GateSpec())
    assert told == measured(-0.5)


def test_exploration_costs_in_proportion_to_its_share_and_the_less_the_more_is_kept(trained_shop, trained):
    visits = read_samples(trained_shop / "samples", Contract(), "evaluation")
    scores = model_scores(trained.model, visits)["fused"]
    half, whole, kept = (
        cost(visits, scores, ExplorationSpec(**each, pool=12))
        for each in ({"share": 0.5}, {"share": 1.0}, {"keep": 8, "share": 1.0})
    )
    assert 0 < half["ndcg@10"] == pytest.approx(whole["ndcg@10"] / 2, abs=1e-4)
    assert kept["ndcg@10"] < whole["ndcg@10"]
