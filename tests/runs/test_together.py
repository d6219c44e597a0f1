"""Several processes carry out a step of a run: the first one's work is the run's, the others leave nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import toy_steps
from forked import Forked

from shoploop.api.pod_result import PartDone, read
from shoploop.runs.record import read_record
from shoploop.store import Store, layout

RUN = "20260101-000000-a"


def carried_out(folder: Path, *steps: str, rank: int = 0) -> str:
    """What a process of that rank prints; it has to end well, and to say that more steps are to come."""
    words = ["pod", "run", "--steps", ",".join(steps), "--spec", str(folder / "spec.json"), "--run", RUN]
    words += ["--store", str(folder / "store"), "--work", str(folder / f"work-{rank}")]
    told, printed = folder / f"told-{rank}", folder / f"printed-{rank}"
    environment = os.environ | {
        "SHOPLOOP_TERMINATION_LOG": str(told), toy_steps.VARIABLE: str(folder / "toy"), "RANK": str(rank)
    }  # fmt: skip
    with printed.open("wb") as output:
        assert Forked("toy_steps", words, env=environment, cwd=Path.cwd(), output=output).wait(60) == 0
    assert read(told.read_text()) == PartDone()
    return printed.read_text()


def test_what_the_others_make_is_kept_nowhere(tmp_path):
    toy_steps.Toy(tmp_path / "toy").prepare()
    data = tmp_path / "events.csv"
    data.write_text("user,item,time\na,b,2026-01-01\n")
    spec = {"data": {"tables": {"interactions": {"uri": str(data)}}}, "training": {"nodes": 2}}
    (tmp_path / "spec.json").write_text(json.dumps({"metadata": {"name": "shop"}, "spec": spec}))
    before = ("load_data", "validate_data", "materialize_features", "build_samples", "augment_samples")
    carried_out(tmp_path, *before, "estimate_importance")
    store = Store(str(tmp_path / "store"))
    record = read_record(store, layout.run("shop", RUN), RUN)
    carried_out(tmp_path, "train_fused", rank=1)
    assert read_record(store, layout.run("shop", RUN), RUN) == record
    assert "unchanged" not in carried_out(tmp_path, "train_fused"), "the first process has to do it itself"
    steps = {step.name: step.state for step in read_record(store, layout.run("shop", RUN), RUN).steps}
    assert steps["train_fused"] == "done"
    carried_out(tmp_path, "train_fused", rank=1)  # all begin again, and it is done


def test_the_code_of_a_persons_mistake_is_that_of_its_process(tmp_path):
    """torchrun alone would end with 1 whatever happened, and the mistake would be tried again."""
    (tmp_path / "spec.json").write_text(
        json.dumps({"metadata": {"name": "shop"}, "spec": {"data": {"dataset": "none"}}})
    )
    environment = os.environ | {
        "PET_NNODES": "1", "PET_NPROC_PER_NODE": "1", "PET_NODE_RANK": "0", "PET_MASTER_ADDR": "127.0.0.1",
        "PET_MASTER_PORT": "0",
    }  # fmt: skip
    words = ["together", "--steps", "nothing", "--spec", str(tmp_path / "spec.json"), "--run", RUN]
    command = [sys.executable, "-m", "shoploop.runs", *words, "--store", str(tmp_path / "store")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "Unknown steps: nothing" in done.stderr
