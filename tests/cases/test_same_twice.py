"""Same seed, same data, same version: of a small shop, and of one with less in it than a model has factors."""

import minimal_logs
import pytest

LOGS = {
    "small": minimal_logs.bought(users=60, days=50, every=6, seed=3, items=8),
    "one-item-a-visit": minimal_logs.bought(users=60, days=50, every=6, seed=4, items=4, drawn=1),
}
PLAIN = {"augmentation": {"mode": "Never"}, "importance": {"estimator": "None"}}


@pytest.mark.parametrize("name", LOGS)
def test_two_runs_of_one_file_make_one_version(tmp_path, name):
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        data = minimal_logs.write(folder / "raw", minimal_logs.priced(LOGS[name]))
        reports = minimal_logs.carry(folder, data, until="train_fused", without=["validate_data"], settings=PLAIN)
        made.append(reports["train_fused"]["version"])
    assert made[0] == made[1]
