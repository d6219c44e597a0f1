"""Best sellers are those of the last days that there are."""

from datetime import UTC, datetime, timedelta

import polars as pl

from shoploop.ranking.popularity import EVERYWHERE, read_popularity, write_popularity


def test_what_was_collected_long_after_the_tables_end_is_what_sells(tmp_path):
    tables = [("tea", f"u{n}", datetime(2024, 5, 1, tzinfo=UTC) + timedelta(days=n % 60)) for n in range(300)]
    collected = [("milk", f"u{n}", datetime(2026, 1, 5, tzinfo=UTC)) for n in range(2)]
    rows = [{"user": u, "item": i, "time": t, "kind": "purchase", "quantity": 1.0} for i, u, t in tables + collected]
    nothing = pl.lit(None, pl.String)
    write_popularity(pl.DataFrame(rows).with_columns(shop=nothing, basket=nothing), tmp_path)
    best = read_popularity(tmp_path)[EVERYWHERE]
    assert list(zip(best.items, best.rates, strict=True)) == [("milk", 1.0), ("tea", 0.0)]
