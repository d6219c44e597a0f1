"""A step that takes long says how far it is: on a terminal in one line, elsewhere in a line from time to time."""

import io
import json

import pytest
from minimal_logs import bought, carry, with_little_effort, write
from rich.console import Console

from shoploop import progress
from shoploop.api.status import ProgressStatus
from shoploop.cli.run import _Watcher

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def heard(tmp_path, monkeypatch):
    """What was said so far, as (done, total, what)."""
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv(progress.VARIABLE, str(path))

    def read(step=None):
        said, found = None, []
        for event in map(json.loads, path.read_text().splitlines()):
            said = event["step"] if event["kind"] == "started" else said
            if event["kind"] == "progress" and step in (None, said):
                found.append((event["done"], event["total"], event["what"]))
        return found

    return read


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_what_goes_by_quickly_is_told_once_a_second_and_at_its_end(heard):
    clock = Clock()
    told = progress.Count("requests", clock=clock)
    for done in range(1, 12):
        clock.now += 0.25
        told(done, 11)
    assert heard() == [(1, 11, "requests"), (5, 11, "requests"), (9, 11, "requests"), (11, 11, "requests")]


def test_parts_are_told_by_their_names_when_they_begin(heard):
    parts = progress.Parts("counting", "writing")
    parts.begin("counting")
    parts.begin("writing")
    parts.end()
    assert heard() == [(0, 2, "parts: counting"), (1, 2, "parts: writing"), (2, 2, "parts")]


def watched(*events, terminal=False):
    """What is printed of a step that says (second, done) of ten files, and ends."""
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, width=80, markup=False, emoji=False, force_terminal=terminal)
    with _Watcher(console, clock=clock) as watch:
        watch({"kind": "started", "step": "load_data"})
        for clock.now, done in events:
            watch({"kind": "progress", "step": "load_data", "done": done, "total": 10, "what": "files"})
        watch({"kind": "finished", "step": "load_data", "seconds": clock.now, "peak_rss_bytes": 2**30})
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_without_a_terminal_a_long_step_is_told_of_every_fifteen_seconds_at_most():
    assert watched((1, 1), (14, 2), (16, 3), (20, 4), (30, 5), (31, 6), (100, 9)) == [
        "· load_data 3 of 10 files, after 16 s",
        "· load_data 6 of 10 files, after 31 s",
        "· load_data 9 of 10 files, after 100 s",
        "✓ load_data 100.0 s 1.00 GiB",
    ]


def test_without_a_terminal_a_short_step_is_one_line():
    assert watched((1, 1), (9, 9)) == ["✓ load_data 9.0 s 1.00 GiB"]


def test_every_step_that_takes_long_says_how_far_it_is_and_never_goes_back(heard, tmp_path, monkeypatch):
    with_little_effort(monkeypatch)
    data = write(tmp_path / "shop", bought(users=40, days=40, every=4))
    asked_for = {"augmentation": {"mode": "Never"}, "importance": {"estimator": "None"}}
    carry(tmp_path / "run", data, until="evaluate_model", settings=asked_for)
    wanted = {
        "load_data": {"parts: the files are read", "parts: tables are written"},
        "validate_data": {"expectations"},
        "materialize_features": {"days of items' statistics", "parts: user_history", "parts: registered with Feast"},
        "build_samples": {"catalogs of candidates", "users to weigh the sources of candidates", "requests"},
        "train_fused": {"epochs"},
        "evaluate_model": {"parts: what counts and learns nothing", "trees", "parts: the model"},
    }
    for step, whats in wanted.items():
        said = heard(step)
        assert whats <= {what for _, _, what in said}, step
        for kind in {what.split(":")[0] for _, _, what in said}:
            done = [done for done, _, what in said if what.split(":")[0] == kind]
            assert done == sorted(done), (step, kind)
        for done, total, what in said:
            assert ProgressStatus(done=done, total=total, what=what).done <= total
