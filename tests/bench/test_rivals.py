"""Rivals on logs in which one sees what comes next, and what is held against them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from shoploop.bench.prediction.problem import Known, Problem, bare_items, bare_purchases
from shoploop.bench.prediction.rivals.contest import RivalTooWeak, hold, refuse_weak, rivals
from shoploop.bench.prediction.rivals.interface import Sequences, judged, practice
from shoploop.bench.prediction.rivals.markov import Markov, MarkovConfig
from shoploop.bench.prediction.rivals.sasrec import PIECE, Sasrec, SasrecConfig, cross_entropy
from shoploop.bench.prediction.rivals.tifu_knn import TifuConfig, TifuKnn, vectors
from shoploop.bench.prediction.sequence_epoch import sequence_epoch
from shoploop.features.contract import resolve
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.samples.sample_set import Request
from shoploop.training.pretraining import PretrainingConfig

pytestmark = pytest.mark.usefixtures("one_thread")

ITEMS = 30


def problem_of(rows, *, new_only=False, rivals=(), known=()):
    """(user, item, day) each; everybody's last day is asked for."""
    table = pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "day": pl.Int32}, orient="row")
    interactions = bare_purchases(table.with_columns(time=pl.col("day").cast(pl.Date).cast(pl.Datetime("us", "UTC"))))
    log = PurchaseLog.of(purchases(interactions), Vocabulary(tuple(sorted(set(table["item"])))))
    last_U = np.array([log.day_R[log.user_R == user].max() for user in range(len(log.users))])
    items = bare_items(log.vocabulary)
    return Problem(
        dataset="small",
        log=log,
        past=log.where(log.day_R < last_U[log.user_R]),
        before_labels=log.where(log.day_R < 0),
        targets=[Request(user=user, day=int(day)) for user, day in enumerate(last_U)],
        labels=[],
        contract=resolve(interactions=interactions, items=items, users=pl.DataFrame({"user": [""]})),
        items=items,
        counts={},
        new_only=new_only,
        rivals=rivals,
        known=known,
    )


@pytest.fixture(scope="module")
def round_trip():
    """A hundred and twenty walkers go round thirty items from anywhere: what comes next is the next item of the round."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(120):
        start, steps = int(rng.integers(ITEMS)), int(rng.integers(5, 12))
        rows += [(f"u{user:03}", f"i{(start + step) % ITEMS:02}", 100 + step) for step in range(steps)]
    return problem_of(rows)


def first_places(rival, problem):
    """Of each target the item that stands first."""
    return [int(np.argmax(scores_I)) for scores_I in rival.scores(problem.targets)]


def next_items(problem):
    log = problem.log
    return [int(log.item_R[(log.user_R == r.user) & (log.day_R == r.day)][0]) for r in problem.targets]


def test_a_chain_says_what_came_after_the_last_items(round_trip):
    chain = Markov(MarkovConfig(both_ways=False))
    chain.fit(round_trip, seed=0, say=lambda what: None)
    assert first_places(chain, round_trip) == next_items(round_trip)


def test_a_chain_chooses_its_settings_on_visits_before_the_targets(round_trip):
    chain = Markov()
    chain.fit(round_trip, seed=0, say=lambda what: None)
    assert not chain.config.both_ways, "nobody ever goes back"


def test_practice_asks_for_the_last_visit_of_the_past_and_knows_nothing_of_it(round_trip):
    rehearsal = practice(round_trip, seed=0, users=10)
    assert len(rehearsal.targets) == 10
    for request in rehearsal.targets:
        days = round_trip.past.day_R[round_trip.past.user_R == request.user]
        assert request.day == days.max()
        assert (rehearsal.past.day_R[rehearsal.past.user_R == request.user] < request.day).all()
    asked = {(request.user, request.day) for request in round_trip.targets}
    assert not asked & {(request.user, request.day) for request in rehearsal.targets}


def test_practice_takes_the_visits_that_are_there_for_it_and_leaves_the_past_whole():
    rows = [("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 3), ("bob", "a", 1), ("bob", "b", 3)]
    problem = problem_of(rows)
    ann = problem.log.users.index("ann")
    split = replace(
        problem,
        past=problem.past.where(problem.past.day_R < 2),
        validation=[Request(user=ann, day=2)],
    )
    rehearsal = practice(split, seed=0)
    assert rehearsal.targets == split.validation and rehearsal.past is split.past
    assert Sequences(rehearsal.log, seed=0).before(rehearsal.targets[0]).tolist() == [
        rehearsal.log.vocabulary.code("a")
    ]


@pytest.mark.parametrize("drawn", [[1, 4, 9], list(range(12))], ids=["a few drawn", "all"])
def test_the_loss_over_items_and_its_gradients_are_torchs(drawn):
    random = torch.Generator().manual_seed(0)
    targets_T = torch.randint(12, (PIECE + 5,), generator=random)  # more than one piece
    drawn_S, log_count_S = torch.tensor(drawn), torch.linspace(0, 1, len(drawn)) * (len(drawn) < 12)
    state_TD, items_ID = torch.randn(PIECE + 5, 4, generator=random), torch.randn(12, 4, generator=random)

    def by_hand(state_TD, items_ID):
        others_TS = (state_TD @ items_ID[drawn_S].T + log_count_S).masked_fill(
            drawn_S == targets_T[:, None], -torch.inf
        )
        logits_TS = torch.cat([(state_TD * items_ID[targets_T]).sum(1, keepdim=True), others_TS], dim=1)
        return torch.nn.functional.cross_entropy(logits_TS, torch.zeros_like(targets_T))

    def found(loss):
        leaves = state_TD.clone().requires_grad_(), items_ID.clone().requires_grad_()
        value = loss(*leaves)
        (value * 3).backward()
        return value.detach(), *(leaf.grad for leaf in leaves)

    ours = found(lambda state, items: cross_entropy(state, items, targets_T, drawn_S, log_count_S))
    torch.testing.assert_close(ours, found(by_hand))
    if len(drawn) == 12:
        torch.testing.assert_close(
            ours, found(lambda state, items: torch.nn.functional.cross_entropy(state @ items.T, targets_T))
        )


def test_sasrec_learns_all_of_the_past_and_the_same_seed_gives_the_same_scores(round_trip):
    def scores(seed):
        model = Sasrec(replace(QUICK, epochs=2))
        model.fit(round_trip, seed=seed, say=said.append)
        return np.array(list(model.scores(round_trip.targets)))

    said: list[str] = []
    assert np.array_equal(scores(0), scores(0))
    assert any("over all of the past" in what for what in said), "practice held the last visits of the past back"
    assert not np.array_equal(scores(0), scores(1))


def test_networks_learn_the_round_and_are_timed_beside_each_other(round_trip, monkeypatch):
    monkeypatch.setattr("shoploop.bench.prediction.rivals.sequence.PretrainingConfig", lambda **chosen: FAST)
    monkeypatch.setattr("shoploop.bench.prediction.rivals.sasrec.SasrecConfig", lambda: QUICK)
    found = sequence_epoch(round_trip)
    assert found["sequence"]["hit@10"] > 0.9 and found["sasrec"]["hit@10"] > 0.9
    assert found["sequence"]["ndcg@10"] > 0.5 and found["sasrec"]["ndcg@10"] > 0.5
    assert found["sequence"]["seconds"] >= 0 and found["peak_rss_bytes"] > 0


FAST = PretrainingConfig(epochs=6, batch_visits=64, learning_rate=1e-2)
QUICK = SasrecConfig(width=16, length=12, dropout=0.1, batch=32, learning_rate=1e-2, epochs=8)


def test_items_of_one_day_stand_in_any_order():
    log = problem_of([("ann", f"i{item}", 5) for item in range(9)] + [("ann", "i0", 6)]).past
    orders = {tuple(Sequences(log, seed=seed).whole(0).tolist()) for seed in range(5)}
    assert len(orders) == 5 and {tuple(sorted(order)) for order in orders} == {tuple(range(9))}


def test_equal_scores_stand_in_any_order():
    class Nothing:
        def scores(self, requests):
            return iter([np.zeros(40)] * len(requests))

    problem = problem_of([("ann", f"i{item:02}", 5) for item in range(39)] + [("ann", "i39", 6)])
    hits = [judged(Nothing(), problem, problem.targets, seed=seed)["hit@10"][0] for seed in range(40)]
    assert 2 <= sum(hits) <= 20, "ten of forty places"


def test_tifu_knn_weighs_groups_and_baskets_as_the_paper_does():
    rows = [("ann", item, day) for item, day in (("a", 1), ("b", 2), ("a", 3), ("c", 4))]
    found = vectors(problem_of(rows).past, TifuConfig(group=2, basket_decay=0.9, group_decay=0.5)).toarray()[0]
    # the groups are [a] and [b, a]: the earliest holds what is left over
    assert found.tolist() == pytest.approx([0.5 / 2 + 1.0 / (2 * 2), 0.9 / (2 * 2), 0.0])


def test_tifu_knn_names_what_neighbours_buy():
    rows = [(f"n{user}", item, day) for user in range(5) for item, day in (("a", 1), ("b", 2), ("a", 3))]
    rows += [("ann", "a", 1), ("ann", "a", 2), ("ann", "b", 3), ("zoe", "c", 1), ("zoe", "d", 2)]
    problem = problem_of(rows)
    tifu = TifuKnn(TifuConfig(neighbours=5, own=0.5))
    tifu.fit(problem, seed=0, say=lambda what: None)
    scores = dict(zip(problem.log.vocabulary.items, next(iter(tifu.scores(problem.targets))), strict=True))
    assert scores["a"] > scores["b"] > scores["c"] == 0


def test_a_rival_far_below_what_is_known_of_it_fails_the_benchmark():
    metrics = {"hit@10": np.array([0.0, 1.0, 1.0, 1.0])}
    slices = {"late": np.array([True, True, False, False])}
    near = hold("markov", metrics, slices, [Known(rival="markov", metric="hit@10", value=0.752)])
    other = hold("markov", metrics, slices, [Known(rival="sasrec", metric="hit@10", value=0.9)])
    refuse_weak({"held_against": near + other})
    assert len(near) == 1 and not other
    far = hold("markov", metrics, slices, [Known(rival="markov", metric="hit@10", value=0.75, slice="late")])
    with pytest.raises(RivalTooWeak, match=r"0\.5000 on late, and 0\.7500"):
        refuse_weak({"held_against": near + far})


def test_a_rival_is_held_against_what_is_known_of_it_by_the_mean_over_seeds():
    row = {"rival": "sasrec", "metric": "hit@10", "slice": None, "known": 0.06}
    refuse_weak({"held_against": [row | {"found": found} for found in (0.055, 0.06, 0.062)]})
    with pytest.raises(RivalTooWeak, match=r"sasrec reaches hit@10 0\.0557, and"):
        refuse_weak({"held_against": [row | {"found": found} for found in (0.055, 0.055, 0.057)]})


def test_rivals_are_measured_on_the_targets_in_their_order(round_trip):
    rows = [(user, item, day) for user, items in (("ann", "aba"), ("bob", "bab")) for day, item in enumerate(items)]
    problem = problem_of(rows, rivals=("tifu_knn",))
    found = rivals(problem, seed=0, say=lambda what: None)
    assert found.metrics["tifu_knn"]["hit@10"].tolist() == [1.0, 1.0]
