"""What a person sees and decides of what is learned online."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from shoploop.cli.main import app
from shoploop.data.collected import CollectedThrough
from shoploop.errors import ArtifactUnsigned, KeyUnusable, NotFound
from shoploop.events.log import Entry
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain, Totals
from shoploop.online.rows import Rows
from shoploop.ranking.trained_items import TrainedItems
from shoploop.store import Store, layout


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """Of the version that serves: two commits, the first of three examples and the second of five more."""
    store = Store(str(tmp_path))
    store.put(f"{layout.version('grocery', 'v1')}/manifest.json", b"{}")
    monkeypatch.setattr("shoploop.cli.online.serving_version", lambda store, name: "v1")
    monkeypatch.setattr("shoploop.packaging.races.collected_of", lambda *_: CollectedThrough(cut=1, offset=20))
    monkeypatch.setenv("SHOPLOOP_STORE", str(tmp_path))
    chain = Chain(store, "grocery", "v1")
    for examples in (3, 8):
        one = np.ones((1, 1), np.float32)
        rows = Rows(
            codes_N=np.array([examples], np.int32),
            vectors_ND=one,
            bias_N=one[0],
            slots_NE=np.ones((1, 2), np.float32),
        )
        totals = Totals(examples=examples, online_loss=examples * 1.0, frozen_loss=examples * 2.0, capped=1)
        chain.append("learn", by="me", reason="", offset=examples * 10, totals=totals, rows=rows)
    return chain


def answer(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["online", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_status_says_which_commit_serves_and_how_well_it_predicts(chain):
    assert answer("status", "grocery") == (
        "grocery v1: commit 2, commit 2 serves.\n"
        "8 examples, each predicted before it was learned: 1.0000 nats of surprise, 2.0000 of the version as it was trained. "
        "0 dead letters, 1 beyond a user's share.\n"
    )
    told = json.loads(answer("status", "grocery", "--json", "-"))
    assert (told["commit"], told["served"], told["frozen"], told["last"]["offset"]) == (2, 2, None, 80)


def test_the_log_lists_commits_and_marks_the_one_that_serves(chain):
    answer("pin", "grocery", "--to", "1")
    lines = answer("log", "grocery").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["*", "2", "3"]
    assert [
        entry["action"] for entry in json.loads(answer("log", "grocery", "--json", "-", "--last", "2"))["commits"]
    ] == [
        "learn",
        "pin",
    ]
    answer("unpin", "grocery")
    assert answer("log", "grocery").splitlines()[3].startswith("*")


def test_dead_letters_are_shown_with_offset_reason_and_record(chain, tmp_path, monkeypatch):
    monkeypatch.setattr("shoploop.packaging.bento.collected_of", lambda *_: CollectedThrough(cut=0, offset=1))
    with SqliteLog(tmp_path / layout.events("grocery") / "events.sqlite") as log:
        log.append([Entry("old", b"{"), Entry("new", b"[")])
    assert answer("deadletters", "grocery") == "2  unreadable  1 bytes  [\n"
    assert json.loads(answer("deadletters", "grocery", "--json", "-")) == {
        "dead_letters": [{"offset": 2, "reason": "unreadable", "bytes": 1, "record": "["}],
        "all": 1,
    }
    assert answer("deadletters", "grocery", "--replay").startswith("0 of 1 dead letters are in the log once more")
    assert json.loads(answer("deadletters", "grocery", "--replay", "--json", "-"))["left"] == [2]
    monkeypatch.setattr("shoploop.packaging.bento.collected_of", lambda *_: CollectedThrough(cut=0, offset=2))
    assert answer("deadletters", "grocery").startswith("No dead letter")


def test_going_back_is_a_commit(chain):
    assert answer("rollback", "grocery", "--to", "1") == (
        "Commit 1 of v1 serves again; what comes is learned on top of it. (commit 3)\n"
    )
    chain.refresh()
    assert chain.state().rows.codes_N.tolist() == [3]


@pytest.mark.parametrize(
    "command, served", [(["rollback", "--to", "1"], 3), (["pin", "--to", "1"], 1), (["unpin"], 3), (["resume"], 3)]
)
def test_what_is_decided_is_told_as_json_too(chain, command, served):
    verb, *rest = command
    told = json.loads(answer(verb, "grocery", *rest, "--reason", "a test", "--json", "-"))
    assert (told["number"], told["action"], told["reason"], told["served"]) == (3, verb, "a test", served)
    assert (told["recommender"], told["version"]) == ("grocery", "v1")


def test_the_difference_of_two_commits_names_the_items_that_moved(chain, monkeypatch):
    items = TrainedItems(
        names=tuple(f"i{code}" for code in range(9)),
        titles={"i8": "Green tea"},
        vectors_ID=np.ones((9, 1), np.float32),
        bias_I=np.zeros(9, np.float32),
    )
    monkeypatch.setattr("shoploop.cli.online.packaged_ranker", lambda *_: None)
    monkeypatch.setattr("shoploop.ranking.trained_items.trained_items", lambda folder: items)
    assert answer("diff", "grocery", "1", "2").splitlines() == [
        "grocery v1, from commit 1 (record 30) to 2 (record 80): +5 examples.",
        "1 of 9 items changed.",
        "w_i moved by 0.0000 on average, 0.0000 at most; a typical one is 1.0000 long.",
        "b_i moved by +1.0000 log-odds on average, 1.0000 at most.",
        "Those that moved most: change of w_i, of b_i, item",
        "    0.0000   +1.0000  i8  Green tea",
    ]
    told = json.loads(answer("diff", "grocery", "0", "2", "--items", "1", "--json", "-"))
    assert (told["items"], told["of"], told["examples"], told["offsets"]) == (2, 9, 8, [20, 80])
    assert told["top"] == [{"item": "i3", "title": None, "vector_change": 0.0, "bias_change": 1.0}]


@pytest.mark.parametrize("decided", [["rollback", "--to", "0"], ["pin", "--to", "0"], ["unpin"], ["resume"]])
def test_what_is_decided_before_anything_was_learned_lets_learning_begin_behind_what_was_trained_on(chain, decided):
    chain._store.put(f"{layout.version('grocery', 'v2')}/manifest.json", b"{}")
    verb, *to = decided
    answer(verb, "grocery", *to, "--version", "v2")
    [commit] = Chain(chain._store, "grocery", "v2").refresh()
    assert (commit.offset, commit.resumes.offset) == (20, 20)


def test_a_frozen_chain_says_why_and_how_to_go_on(chain):
    chain.decide("freeze", by="learner", reason="progressive_loss: it is worse.", to=1)
    assert "progressive_loss: it is worse. `shoploop online resume grocery` goes on." in answer("log", "grocery")
    assert "Nothing is learned since commit 3" in answer("status", "grocery")
    answer("resume", "grocery")
    assert "Nothing is learned" not in answer("status", "grocery")


@pytest.mark.parametrize("verb", ["rollback", "pin"])
def test_a_commit_that_is_not_there_is_named(chain, verb):
    found = CliRunner().invoke(app, ["online", verb, "grocery", "--to", "9"])
    assert isinstance(found.exception, NotFound)
    assert "grocery v1 has no commit 9: its commits are 0 to 2." in str(found.exception)


def test_a_version_that_is_not_there_is_named(chain):
    found = CliRunner().invoke(app, ["online", "status", "grocery", "--version", "v9"])
    assert isinstance(found.exception, NotFound)


def test_what_has_no_signature_is_not_read_and_who_can_give_none_does_not_learn(chain, monkeypatch):
    from shoploop.versions.signing import Trust

    monkeypatch.setattr("shoploop.versions.signing.Trust.configured", lambda: Trust(policy="Require", keys={}))
    for command in (["serve", "grocery", "--online"], ["online", "learn", "grocery"]):
        assert isinstance(CliRunner().invoke(app, command).exception, KeyUnusable)
    assert isinstance(CliRunner().invoke(app, ["online", "status", "grocery"]).exception, ArtifactUnsigned)


@pytest.mark.parametrize(
    ("enabled", "said", "learns"),
    [(True, [], True), (False, [], False), (True, ["--no-online"], False), (False, ["--online"], True)],
)
def test_whether_a_served_version_learns_is_the_specs_to_say_and_the_command_comes_before_it(
    tmp_path, monkeypatch, enabled, said, learns
):
    run = layout.run("grocery", "r1")
    spec = {"data": {"dataset": "completejourney"}, "online": {"enabled": enabled}, "serving": {"replicas": 1}}
    plan = {"recommender": {"metadata": {"name": "grocery"}, "spec": spec}}
    Store(str(tmp_path)).put(layout.run_plan(run), json.dumps(plan).encode())
    asked = {}

    def serve(*_, **settings):
        asked.update(settings)
        return 0

    monkeypatch.setattr("shoploop.packaging.local_service.serve", serve)
    CliRunner().invoke(app, ["serve", "grocery", "--store", str(tmp_path), *said], catch_exceptions=False)
    assert asked["online"] is learns
