"""A Redis of users' features that is down, or hangs: every request is answered in its time by what is left, and says so."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from event_logs import redis_server
from shop import Shop
from shop.serving import make_ranker, trained_model

from shoploop.api.v1alpha1 import OnlineStoreSpec
from shoploop.events.fresh import Done
from shoploop.features import bounded_reads, feast_store
from shoploop.features.bounded_reads import FeatureStoreUnavailable
from shoploop.features.online import OnlineFeatures
from shoploop.predictor import metrics
from shoploop.predictor.explanations import Explanations, NotExplained
from shoploop.ranking.answer import RankRequest, RecommendRequest, SearchRequest, ShopsRequest
from shoploop.ranking.asked import Asked
from shoploop.ranking.explanation import ExplainRequest

SHOP = Shop()
NOON = datetime.combine(SHOP.serving_day, datetime.min.time(), UTC).replace(hour=12)
ANN = RecommendRequest(user="ann", k=2)
AWAY = "feature_store_unavailable"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("features") / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def folder(server, stored_shop, tmp_path_factory):
    """The shop's features, with users' and items' in Redis."""
    folder = tmp_path_factory.mktemp("features") / "features"
    shutil.copytree(stored_shop / "features", folder)
    spec = OnlineStoreSpec(type="Redis", connection=f"127.0.0.1:{server.port}")
    feast_store.write_repository(folder, project="shop", online_store=spec)
    (folder / "feast" / "registry.db").unlink()
    store = feast_store.apply(folder)
    for view in ("user_stats", "user_history", "user_profile", "item_stats", "shop_stats"):
        rows = pl.read_parquet(folder / f"{view}.parquet")
        if view in ("item_stats", "shop_stats"):
            rows = rows.filter(pl.col("event_timestamp") == rows["event_timestamp"].max())
        store.write_to_online_store(view, rows.to_pandas())
    return folder


@pytest.fixture
def ranker(server, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_reads, "RETRY_SECONDS", 0.05)
    if server.process.poll() is not None:
        server.start()
    trained = trained_model()
    features = OnlineFeatures(folder, vocabulary=trained.vocabulary)
    return make_ranker(tmp_path, trained=trained, features=features, deadline_milliseconds=100)


def until_whole(ranker):
    for _ in range(200):
        if (answer := ranker.recommend(ANN, now=NOON)).degraded is None:
            return answer
        time.sleep(0.02)
    raise AssertionError("it did not come back")


def degraded(ranker):
    """By route, what each answers and why it is less than it could be."""
    answers = {
        "/recommend": ranker.recommend(ANN, now=NOON),
        "/rank": ranker.rank(RankRequest(user="ann", items=["tea", "milk"]), now=NOON),
        "/search": ranker.search(SearchRequest(query="milk", user="ann", k=2), now=NOON),
        "/shops": ranker.shops(ShopsRequest(user="ann", k=2), now=NOON),
    }
    assert all(answer.items for answer in answers.values())
    return {route: answer.degraded for route, answer in answers.items()}


def test_a_request_is_answered_without_a_store_that_is_down_and_with_it_when_it_is_back(ranker, server, caplog):
    whole = until_whole(ranker)
    assert whole.method == "fused" and set(degraded(ranker).values()) == {None}
    server.kill()
    assert set(degraded(ranker).values()) == {AWAY}
    answer = ranker.recommend(ANN, now=NOON)
    assert answer.method == "popularity"
    told = metrics.DEGRADED.labels(route="/recommend", reason=AWAY)._value
    before = told.get()
    metrics.count("/recommend", ranker, answer)
    assert told.get() == before + 1
    # what is stored is not known, what was done since is
    done = [Done("tea", "purchase", (NOON.date() - datetime(1970, 1, 1).date()).days, 1.0)]
    fresh = ranker.recommend(RecommendRequest(user="ann", k=1), now=NOON, fresh=done)
    assert (fresh.method, fresh.degraded, fresh.items[0].item) == ("fused", AWAY, "tea")
    assert "spec.features.onlineStore.connection" in caplog.text
    server.start()
    assert until_whole(ranker).items == whole.items
    assert caplog.text.count("answers again") == 1


def test_nobody_waits_longer_for_a_store_that_hangs_than_their_own_deadline_allows(ranker, server):
    whole = until_whole(ranker)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        assert ranker.recommend(ANN, now=NOON).degraded == AWAY
        reads = ranker.known._features._bounded
        assert not reads._late.done(), "it was answered while the read still waited"
        assert set(degraded(ranker).values()) == {AWAY}
        assert not reads._late.done(), "and so were all others, by the same read"
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert until_whole(ranker).items == whole.items


def test_a_predictor_starts_while_its_store_is_away_and_knows_all_items_and_what_its_answers_cost(
    ranker, server, folder, tmp_path
):
    there = ranker.known.matrix
    server.kill()
    features = OnlineFeatures(folder, vocabulary=ranker.known.trained.vocabulary)
    begun = make_ranker(tmp_path, trained=ranker.known.trained, features=features)
    for name in features.contract.item_stats:
        np.testing.assert_array_equal(begun.known.matrix[name], there[name])
    begun.warm_up()
    assert begun.costs.dnn > 0
    assert begun.recommend(ANN, now=NOON).degraded == AWAY
    server.start()
    assert until_whole(begun).method == "fused"


def test_who_learns_waits_for_the_store_and_takes_nobody_for_somebody_without_a_history(ranker, server):
    until_whole(ranker)
    server.kill()
    with pytest.raises(FeatureStoreUnavailable, match=r"Redis 127\.0\.0\.1"):
        ranker.user_states().of([Asked("ann", (), NOON)])


def test_why_an_item_was_shown_is_asked_again_where_the_store_is_away(ranker, server):
    whole = until_whole(ranker)
    explanations = Explanations(ranker, None)
    explanations.remember(whole, ANN, (), NOON)
    asked = ExplainRequest(request_id=whole.request_id, item=whole.items[0].item)
    server.kill()
    with pytest.raises(NotExplained, match="Ask again") as refused:
        explanations.explain(asked)
    assert (refused.value.status, refused.value.code) == (503, AWAY)
    less = ranker.recommend(ANN, now=NOON)
    explanations.remember(less, ANN, (), NOON)
    server.start()
    until_whole(ranker)
    assert explanations.explain(asked).exact
    assert not explanations.explain(ExplainRequest(request_id=less.request_id, item=less.items[0].item)).exact


def test_a_file_of_features_that_cannot_be_read_is_as_a_server_that_is_down(stored_shop, tmp_path, caplog):
    shutil.copytree(stored_shop / "features", tmp_path / "features")
    trained = trained_model()
    features = OnlineFeatures(tmp_path / "features", vocabulary=trained.vocabulary)
    ranker = make_ranker(tmp_path, trained=trained, features=features)
    whole = ranker.recommend(ANN, now=NOON)
    assert whole.degraded is None
    file = tmp_path / "features" / "feast" / "online.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert set(degraded(ranker).values()) == {AWAY}
        other.execute("ROLLBACK")
    assert caplog.text.count("is locked. If that stays, fetch the version again. Answers do without it") == 1
    assert ranker.recommend(ANN, now=NOON).items == whole.items
