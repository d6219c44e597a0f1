"""A log that is too short for any model ends a run once it is loaded, by the words that describe has for it."""

import pytest

from shoploop import runs
from shoploop.cli.run import load_with_data
from shoploop.data.description import describe
from shoploop.data.step import read_raw
from shoploop.runs.forecast import forecast
from shoploop.runs.launchers.launcher import StepFailed
from shoploop.store import Store

SPEC = """
spec:
  data:
    tables:
      interactions: {uri: log.csv, kinds: {"": purchase}}
"""


@pytest.fixture
def recommender(tmp_path):
    rows = [f"{n % 7},S{n % 9},2025-01-0{1 + n % 3}" for n in range(40)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    (tmp_path / "recommender.yaml").write_text(SPEC)
    return load_with_data(tmp_path / "recommender.yaml")


def test_a_log_that_is_too_short_ends_a_run_before_anything_slow_also_where_it_was_loaded_before(recommender, tmp_path):
    description, tables = describe(read_raw(recommender.spec.data))
    foretold = forecast(recommender.spec, description, tables["interactions"])["enough"]
    (told,) = [line for line in foretold if line["state"] == "too little"]
    store = Store(str(tmp_path / "store"))
    for loaded in ("done", "reused"):
        run, launcher = runs.new_run(recommender), runs.ThisMachine(store)
        launcher.launch(run)
        with pytest.raises(StepFailed) as caught:
            runs.follow(launcher, run, lambda event: None)
        assert str(caught.value) == f"Step {told['step']} failed: {told['why']}" and caught.value.exit_code == 2
        states = {step.name: step.state for step in runs.read_record(store, run.key, run.id).steps}
        assert (states["load_data"], states["validate_data"], states[told["step"]]) == (loaded, "waiting", "failed")
