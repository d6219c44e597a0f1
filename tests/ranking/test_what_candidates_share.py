"""A ranker that computes once what candidates share answers what one answers that does not."""

import copy
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from shop.serving import make_ranker, trained_model

from shoploop.models.fusion import FusedModel
from shoploop.models.pieces import quantile_pieces
from shoploop.ranking import known
from shoploop.ranking.answer import RankRequest, RecommendRequest

WHO = ("ann", "bob", "oda")


def deep_model():
    """A model with hidden layers, every weight of which counts."""
    trained = trained_model(alpha_logit=0.0)
    config = trained.model.config
    torch.manual_seed(3)
    drawn_RK = np.random.default_rng(0).normal(1.0, 1.0, (60, config.behaviour.features)).astype(np.float32)
    pieces = quantile_pieces(drawn_RK, drawn_RK[:, 0] > 1, most=4)
    hidden = replace(config.behaviour, hidden=(8, 4), pieces=len(pieces))
    model = FusedModel(replace(config, behaviour=hidden))
    model.behaviour.cut(pieces)
    model.sequence.load_state_dict(trained.model.sequence.state_dict())
    return replace(trained, model=model.prepare())


@pytest.fixture
def both(tmp_path, monkeypatch):
    """The ranker that shares, however few the candidates, and the same one that does not."""
    monkeypatch.setattr(known, "WORTH_SHARING", 1)
    shares = make_ranker(tmp_path, trained=deep_model())
    assert shares.known._sums is not None
    alone = copy.copy(shares)
    alone.known = copy.copy(shares.known)
    alone.known._sums = None
    return shares, alone


def inputs(ranker, who):
    visitor = ranker.known.visitor(who, (), None)
    found = ranker.known.candidates(visitor.user, visitor.day)
    return ranker.known.input(visitor.user, found.items_N, visitor.day, found)


@pytest.mark.parametrize("part", ["fused", "dnn", "transformer"])
def test_scores_are_the_same(both, part):
    shares, alone = both
    for who in WHO:
        one, other = inputs(shares, who), inputs(alone, who)
        assert one.first_NH is not None and other.first_NH is None
        wanted_N = alone.known.trained.model.score(other, part=part)
        assert len(set(wanted_N.tolist())) > 3, "they tell candidates apart"
        np.testing.assert_allclose(shares.known.trained.model.score(one, part=part), wanted_N, atol=1e-4)


def test_the_sums_are_what_is_scored(both):
    shares, _ = both
    one = inputs(shares, "ann")
    moved = replace(one, first_NH=one.first_NH[::-1].copy())
    model = shares.known.trained.model
    assert not np.allclose(model.score(moved), model.score(one), atol=1e-3)
    assert not np.allclose(model.score(moved, part="dnn"), model.score(one, part="dnn"), atol=1e-3)


def test_lists_are_the_same_also_with_what_was_learned_online(both):
    now = datetime.now(UTC)
    vectors_ID, bias_I = both[0].known.trained.model.items()
    for change in (lambda known: known, lambda known: known.with_items(vectors_ID[::-1].copy(), bias_I + 1)):
        answers = []
        for ranker in both:
            other = copy.copy(ranker)
            other.known = change(ranker.known)
            answers.append([
                *(other.recommend(RecommendRequest(user=who, k=5), now=now) for who in WHO),
                *(other.rank(RankRequest(user=who, items=["soap", "apples", "milk"]), now=now) for who in WHO),
            ])  # fmt: skip
        for one, wanted in zip(*answers, strict=True):
            assert [placed.item for placed in one.items] == [placed.item for placed in wanted.items]
