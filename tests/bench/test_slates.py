"""The benchmark of slates: which item of a list is clicked, and what its place has to do with it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from shoploop.bench.slates.contest import contest
from shoploop.bench.slates.features import COLUMNS, PLACES, assemble_slates
from shoploop.bench.slates.problems import SlateProblem, problem_of
from shoploop.errors import NotFound, SpecInvalid, TooFewEvents

START, TEST = datetime(2018, 11, 7, tzinfo=UTC), 17_843
"""The first day, and the second, which is judged."""

ITEMS = 4
EXAMINED = np.array([8, 4, 2, 1]) / 15
"""Who touched nothing looks at one place and clicks what is there."""


def a_market(sessions: int = 240, *, days: int = 2, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """In every second session something is touched and then clicked, wherever it stands; in the others the place decides."""
    random = np.random.default_rng(seed)
    slates, events = [], []
    for session in range(sessions * days):
        when = START + timedelta(days=session // sessions, seconds=60 * (session % sessions))
        who = {"user": session, "session": session}
        items = random.permutation(100)[:ITEMS].tolist()
        place = int(random.integers(ITEMS)) if session % 2 else int(random.choice(ITEMS, p=EXAMINED))
        if session % 2:
            touch = {"action_type": "interaction item image", "reference": str(items[place])}
            events.append(who | {"step": 1, "time": when} | touch)
        click = {"action_type": "clickout item", "reference": str(items[place])}
        events.append(who | {"step": 2, "time": when + timedelta(seconds=9)} | click)
        for at, item in enumerate(items):
            told = {"item": item, "price": 50 + item, "position": at + 1, "clicked": int(at == place)}
            slates.append(who | {"step": 2, "time": when + timedelta(seconds=9)} | told)
    return pl.DataFrame(slates), pl.DataFrame(events)


def problem(slates: pl.DataFrame, events: pl.DataFrame) -> SlateProblem:
    return SlateProblem.of("a-market", slates, events, test=TEST)


def features(slates: pl.DataFrame, events: pl.DataFrame) -> np.ndarray:
    return assemble_slates(problem(slates, events)).features_RK


@pytest.fixture(scope="module")
def measured():
    return contest(problem(*a_market()))


def test_every_method_is_measured_with_an_interval_and_the_learned_ones_held_against_it(measured):
    simple, trees = {"as_shown", "cheapest", "popularity", "last_touched"}, {"lambdamart_ten", "lambdamart"}
    networks = {"dnn", "dnn_place_held", "dnn_never_told", "two_towers", "two_towers_wanted"}
    assert set(measured["methods"]) == simple | trees | networks
    assert all(len(row["interval"]["mrr"]) == 2 for row in measured["methods"].values())
    assert {(row["better"], row["than"]) for row in measured["comparisons"]} == {
        (better, than) for better in ("dnn", "two_towers") for than in measured["methods"] if than != better
    }
    assert (measured["learned"], measured["judged"]) == (240, 240)


def test_what_was_touched_is_found_wherever_it_stands(measured):
    touched = measured["slices"]["touched_before"]
    assert touched["slates"] == 120
    hits = {name: row["hit@1"] for name, row in touched["methods"].items()}
    assert hits["last_touched"] == 1
    assert min(hits["dnn"], hits["two_towers"], hits["two_towers_wanted"]) > 0.95
    assert hits["as_shown"] < 0.5


def test_where_the_place_decides_who_knows_it_is_better_and_taking_it_out_costs(measured):
    rows = measured["slices"]["nothing_touched"]["methods"]
    assert rows["two_towers"]["mrr"] == pytest.approx(rows["as_shown"]["mrr"], abs=0.05)
    assert rows["two_towers_wanted"]["mrr"] < rows["two_towers"]["mrr"] - 0.1
    without = next(r for r in measured["position_bias"]["ablation"] if r["than"] == "two_towers_wanted")
    assert without["interval"][0] > 0


def test_the_curve_of_places_is_found_and_where_it_is_weighed_out_places_gain_nothing(measured):
    curve = measured["position_bias"]["curve"]
    assert [row["place"] for row in curve] == [1, 2, 3, 4]
    assert all(row["interval"][0] < row["conditional_logit"] < row["interval"][1] for row in curve[1:])
    assert curve[3]["conditional_logit"] < 0.4 < curve[1]["conditional_logit"] + 0.1
    weighed = {row["than"]: row for row in measured["position_bias"]["weighed"]["comparisons"]}
    assert weighed["two_towers_wanted"]["difference"] < 0.05


def test_a_slate_does_not_know_its_click_nor_what_came_after():
    slates, events = a_market(sessions=6)
    moved = slates.with_columns(clicked=(pl.col("position") == 1 + pl.col("session") % ITEMS).cast(pl.Int64))
    clicked = moved.filter(pl.col("clicked") == 1).select("session", pl.col("item").cast(pl.String).alias("other"))
    changed = events.join(clicked, on="session", how="left").with_columns(
        reference=pl.when(pl.col("action_type") == "clickout item").then("other").otherwise("reference")
    )
    last = slates["session"].max()
    own = (slates.sort("session", "item")["session"] == last).to_numpy()
    alone = (pl.col("session") == last, slates["session"] != last, events["session"] != last)
    mixed_slates = pl.concat([slates.filter(alone[1]), moved.filter(alone[0])])
    mixed_events = pl.concat([events.filter(alone[2]), changed.filter(alone[0]).select(events.columns)])
    np.testing.assert_array_equal(features(slates, events)[own], features(mixed_slates, mixed_events)[own])
    # what is learned from takes its own user's clicks out of what others did
    first = (slates.sort("session", "item")["session"] == 0).to_numpy()
    mixed_slates = pl.concat([moved.filter(pl.col("session") == 0), slates.filter(pl.col("session") != 0)])
    mixed_events = pl.concat(
        [changed.filter(pl.col("session") == 0).select(events.columns), events.filter(pl.col("session") != 0)]
    )
    others = [at for at, name in enumerate(COLUMNS) if name != "others_over_expected"]  # it knows each place's mean
    known, other = features(slates, events)[first], features(mixed_slates, mixed_events)[first]
    np.testing.assert_array_equal(known[:, others], other[:, others])


def test_only_the_columns_of_places_know_places():
    slates, events = a_market(sessions=6)
    judged = pl.col("time") >= START + timedelta(days=1)
    turned = slates.with_columns(
        position=pl.when(judged).then(ITEMS + 1 - pl.col("position")).otherwise("position").cast(pl.Int64)
    )
    known, other = features(slates, events), features(turned, events)
    differ = {COLUMNS[at] for at in np.flatnonzero((known != other).any(axis=0))}
    assert {"place", "below_last"} <= differ <= set(PLACES)


def test_what_a_session_told_before_is_remembered():
    slates, events = a_market(sessions=2)
    row = features(slates, events)
    items = slates.sort("session", "item").with_row_index()
    touched = items.filter((pl.col("session") == 3) & (pl.col("clicked") == 1))["index"].item()
    others = items.filter((pl.col("session") == 3) & (pl.col("clicked") == 0))["index"].to_numpy()
    for name in ("last", "touched_share", "touched_since_click"):
        column = COLUMNS.index(name)
        assert row[touched, column] == 1
        assert not row[others, column].any()


def test_what_cannot_be_judged_is_refused_by_name(tmp_path, monkeypatch):
    slates, events = a_market(sessions=2)
    with pytest.raises(SpecInvalid, match="amazon-beauty"):
        problem_of("amazon-beauty")
    with pytest.raises(TooFewEvents, match="0 to judge"):
        SlateProblem.of("a-market", slates, events, test=99_999)
    with pytest.raises(SpecInvalid, match=r"4 slates have no click.*step 2"):
        problem(slates.with_columns(clicked=1), events)
    monkeypatch.setenv("SHOPLOOP_BENCH_DATA", str(tmp_path))
    with pytest.raises(NotFound, match=r"slates\.parquet"):
        problem_of("trivago-slates")
