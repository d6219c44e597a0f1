"""A log of few days whose first is by far the fullest: what nobody could foresee is history, and the run gets through."""

import polars as pl
import pytest
from minimal_logs import carry, write
from shop import day

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_network")

PLAIN = {"training": {"epochs": 1}, "augmentation": {"mode": "Never"}, "importance": {"estimator": "None"}}


def opening_sale(days):
    """A hundred people come on the first day and twenty-five of them on each further one, for two items of their own."""
    rows = [
        (f"u{user:02}", f"i{(user + place) % 30:02}", day(on))
        for on in range(days)
        for user in range(100)
        if on == 0 or (user + on) % 4 == 0
        for place in (0, 7)
    ]
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


@pytest.mark.parametrize("days", [4, 8])
def test_a_sale_on_the_first_day_of_a_short_log_is_what_the_run_knows_and_not_what_it_learns(days, tmp_path):
    data = write(tmp_path / "raw", opening_sale(days))
    reports = carry(tmp_path, data, until="train_fused", without=["validate_data"], settings=PLAIN)
    requests = pl.read_parquet(tmp_path / "samples" / "requests.parquet", columns=["request", "day", "split"])
    candidates = pl.read_parquet(tmp_path / "samples" / "candidates.parquet", columns=["request"])
    learned = requests.filter(pl.col("split") != "evaluation")
    assert learned["day"].min() > reports["materialize_features"]["first_day"]
    assert set(learned["request"]) <= set(candidates["request"])
    assert reports["build_samples"]["splits"]["validation"]["requests"] > 0
