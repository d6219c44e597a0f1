"""Best sellers are those of the last days that there are."""

from datetime import UTC, datetime, timedelta

import polars as pl
from shop.serving import SHOP, MemoryFeatures, make_ranker, trained_model

from shoploop.candidates.fetching import Candidates
from shoploop.ranking.answer import RecommendRequest
from shoploop.ranking.popularity import EVERYWHERE, Popular, read_popularity, write_popularity
from shoploop.ranking.ranker import Ranker


def test_what_was_collected_long_after_the_tables_end_is_what_sells(tmp_path):
    tables = [("tea", f"u{n}", datetime(2024, 5, 1, tzinfo=UTC) + timedelta(days=n % 60)) for n in range(300)]
    collected = [("milk", f"u{n}", datetime(2026, 1, 5, tzinfo=UTC)) for n in range(2)]
    rows = [{"user": u, "item": i, "time": t, "kind": "purchase", "quantity": 1.0} for i, u, t in tables + collected]
    nothing = pl.lit(None, pl.String)
    write_popularity(pl.DataFrame(rows).with_columns(shop=nothing, basket=nothing), tmp_path)
    best = read_popularity(tmp_path)[EVERYWHERE]
    assert list(zip(best.items, best.rates, strict=True)) == [("milk", 1.0), ("tea", 0.0)]


def test_what_the_model_does_not_know_is_said_to_be_popular_where_it_sold_lately_whoever_asks(tmp_path, monkeypatch):
    popular = {
        EVERYWHERE: Popular(items=("novelty", "milk", "old love"), rates=(0.9, 0.5, 0.0)),
        "corner": Popular(items=("local",), rates=(0.1,)),
    }
    ranker = Ranker(
        version="v123", trained=trained_model(), features=MemoryFeatures(), popular=popular, items=SHOP.tables()["items"],
        settings=make_ranker(tmp_path).settings,
    )  # fmt: skip
    milk_1 = ranker.known.codes(["milk"])
    only_milk = Candidates(items_N=milk_1, named={"history": milk_1}, after={})
    monkeypatch.setattr(ranker.known, "candidates", lambda user, day: only_milk)
    for user in ("ann", "a stranger"):
        answer = ranker.recommend(RecommendRequest(user=user, k=4, shop="corner"))
        said = {item.item: item.reason for item in answer.items}
        assert (said["novelty"], said["local"], said["old love"]) == (
            "popular this month",
            "popular this month",
            "sold well before",
        )
