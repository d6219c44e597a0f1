"""A run that cannot be begun leaves nothing that would be taken for a run."""

import pytest

from shoploop.errors import StoreUnavailable
from shoploop.runs import Journal, new_run
from shoploop.runs.retention import choose
from shoploop.steps import Workspace


def test_a_run_whose_record_cannot_be_begun_leaves_no_plan_and_lets_the_next_one_begin(make_bench, monkeypatch):
    bench = make_bench("this machine")
    run = new_run(bench.recommender)
    workspace = Workspace(bench.store, run.name)

    def refuses(*_, **__):
        raise StoreUnavailable("The store is away.")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "begin", refuses)
        with pytest.raises(StoreUnavailable, match="is away") as held:  # the error, and all that it holds, is kept
            bench.launcher.launch(run)
    assert not list(bench.store.list(f"{run.key}/"))
    assert choose(workspace, run.recommender.spec.retention, named={}).kept == {}
    assert bench.ended(bench.launched()).state == "done"
    assert held.value
