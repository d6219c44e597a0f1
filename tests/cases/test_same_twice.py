"""Same seed, same data, same version: of a shop with less in it than a model has factors.

Of one with more ``compute/test_chance_and_threads.py`` holds it, between two processes and whatever their threads.
"""

import minimal_logs
import pytest

PLAIN = {"augmentation": {"mode": "Never"}, "importance": {"estimator": "None"}}

pytestmark = pytest.mark.usefixtures("narrow_network")


def test_two_runs_of_one_file_with_one_item_a_visit_make_one_version(tmp_path):
    made = []
    bought = minimal_logs.priced(minimal_logs.bought(users=60, days=50, every=6, seed=4, items=4, drawn=1))
    for folder in (tmp_path / "one", tmp_path / "two"):
        data = minimal_logs.write(folder / "raw", bought)
        reports = minimal_logs.carry(folder, data, until="train_fused", without=["validate_data"], settings=PLAIN)
        made.append(reports["train_fused"]["version"])
    assert made[0] == made[1]
