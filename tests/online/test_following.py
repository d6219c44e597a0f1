"""What was learned, on its way from the chain into a predictor."""

import copy
import hashlib
import json
import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from shoploop.online.chain import Chain, Totals
from shoploop.online.following import Following, Followings
from shoploop.online.pointer import LOOKED, POINTER, Pointer, file_name
from shoploop.online.rows import Rows
from shoploop.online.updater import Updater
from shoploop.ranking.answer import RankRequest, RecommendRequest
from shoploop.store import Store

ASKED = RecommendRequest(user="ann", k=12)


@pytest.fixture
def chain(tmp_path):
    return Chain(Store(str(tmp_path / "store")), "grocery", "v123")


@pytest.fixture
def updater(chain, tmp_path):
    return Updater(chain, tmp_path / "updates", version="v123")


@pytest.fixture
def following(ranker, tmp_path, updater):
    return Following(ranker, tmp_path / "updates")


def lifted(ranker, item: str, bias: float = 50.0) -> Rows:
    """The item's row, with a bias that puts it first."""
    codes = ranker.encode([item])
    vectors, _ = ranker.items()
    return Rows(
        codes_N=codes, vectors_ND=vectors[codes], bias_N=np.array([bias], np.float32),
        slots_NE=np.zeros((1, vectors.shape[1] + 1), np.float32),
    )  # fmt: skip


def learn(chain, rows):
    chain.append("learn", by="me", reason="", offset=1, totals=Totals(), rows=rows)


def first(following) -> str:
    return following.ranker.recommend(ASKED).items[0].item


def test_what_was_learned_is_served_and_every_answer_says_so(ranker, chain, updater, following):
    before = first(following)
    assert following.ranker.recommend(ASKED).commit is None
    learn(chain, lifted(ranker, "soap"))
    assert (updater.look(), following.look()) == (True, True)
    assert first(following) == "soap" != before
    assert following.ranker.recommend(ASKED).commit == 1
    assert following.ranker.rank(RankRequest(user="ann", items=["milk", "soap"])).items[0].item == "soap"
    assert (updater.look(), following.look()) == (False, False)


def test_going_back_brings_the_version_back_as_it_was_trained(ranker, chain, updater, following):
    before = [(item.item, item.score) for item in ranker.recommend(ASKED).items]
    learn(chain, lifted(ranker, "soap"))
    updater.look(), following.look()
    chain.decide("rollback", by="me", reason="", to=0)
    updater.look(), following.look()
    assert [(item.item, item.score) for item in following.ranker.recommend(ASKED).items] == before


def test_a_folder_that_is_gone_for_a_moment_costs_no_more_than_that_moment(ranker, chain, updater, following):
    learn(chain, lifted(ranker, "soap"))
    updater.look(), following.look()
    folder = following.folder
    folder.rename(folder.with_suffix(".aside"))
    folder.write_text("no folder")
    assert not following.look() and first(following) == "soap"
    later = time.time() + 60
    os.utime(folder.with_suffix(".aside") / LOOKED, (later, later))
    assert following.age_seconds() > 0
    folder.unlink(), folder.with_suffix(".aside").rename(folder)
    assert following.look() and following.age_seconds() == 0


def test_a_request_under_way_keeps_the_model_that_it_began_with(ranker, chain, updater, following):
    began_with = following.ranker
    learn(chain, lifted(ranker, "soap"))
    updater.look(), following.look()
    assert began_with.recommend(ASKED).items[0].item != "soap"
    assert began_with.commit is None


def test_a_pinned_commit_is_what_is_served(ranker, chain, updater, following):
    learn(chain, lifted(ranker, "soap"))
    learn(chain, lifted(ranker, "rice", 90.0))
    chain.decide("pin", by="me", reason="", to=1)
    updater.look(), following.look()
    assert (first(following), following.ranker.commit) == ("soap", 1)


def test_an_updater_and_a_predictor_that_start_from_nothing_come_to_the_same(ranker, chain, updater, tmp_path):
    learn(chain, lifted(ranker, "soap"))
    updater.look()
    again = Updater(Chain(chain._store, "grocery", "v123"), tmp_path / "others", version="v123")
    again.look()
    for folder in ("updates", "others"):
        following = Following(ranker, tmp_path / folder)
        following.look()
        assert first(following) == "soap"


def altered(folder):
    [file] = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"x")


def cut(folder):
    [file] = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-9])


def gone(folder):
    [file] = folder.glob("*.safetensors")
    file.unlink()


def foreign(folder):
    pointer = json.loads((folder / POINTER).read_text())
    (folder / POINTER).write_text(json.dumps(pointer | {"version": "v999"}))


def no_json(folder):
    (folder / POINTER).write_text("{")


def of_other_types(folder):
    """Whole, with the digest that the pointer names; codes are no whole numbers."""
    pointer, body = (
        Pointer.read(folder),
        save({name: array.astype(np.float64) for name, array in rows_of(folder).items()}),
    )
    digest = hashlib.sha256(body).hexdigest()
    (folder / file_name(digest)).write_bytes(body)
    replace(pointer, sha256=digest).write(folder)


def rows_of(folder):
    return load((folder / file_name(Pointer.read(folder).sha256)).read_bytes())


@pytest.mark.parametrize("damage", [altered, cut, gone, foreign, no_json, of_other_types])
def test_an_update_that_cannot_be_verified_is_refused_counted_and_followed_by_the_next(
    ranker, chain, updater, following, tmp_path, damage
):
    learn(chain, lifted(ranker, "soap"))
    updater.look()
    damage(tmp_path / "updates")
    assert not following.look()
    assert (following.refused, following.ranker) == (1, ranker)
    assert not following.look()
    assert following.refused == 1
    learn(chain, lifted(ranker, "rice", 90.0))
    updater.look(), following.look()
    assert first(following) == "rice"


def test_an_update_that_cannot_be_read_for_a_moment_is_served_when_it_can(ranker, chain, updater, following, tmp_path):
    learn(chain, lifted(ranker, "soap"))
    updater.look()
    [file] = (tmp_path / "updates").glob("*.safetensors")
    file.rename(tmp_path / "aside")
    assert not following.look() and not following.look()
    assert following.refused == 1
    (tmp_path / "aside").rename(file)
    assert following.look()
    assert first(following) == "soap"


@pytest.mark.parametrize("bias", [float("nan"), float("inf")])
def test_an_update_with_what_is_no_number_is_refused(ranker, chain, updater, following, bias):
    learn(chain, lifted(ranker, "soap", bias))
    updater.look()
    assert not following.look()
    assert following.refused == 1


def test_a_defect_at_a_look_keeps_no_later_update_from_being_served(ranker, chain, updater, tmp_path, monkeypatch):
    followings, failed, followed = Followings(ranker, tmp_path / "updates"), threading.Event(), threading.Event()
    look = followings.look

    def fails_once():
        if not failed.is_set():
            failed.set()
            raise RuntimeError
        look()

    followings.start(on_look=lambda: followed.set() if failed.is_set() else None)
    monkeypatch.setattr(followings, "look", fails_once)
    try:
        assert failed.wait(10) and followed.wait(10)
    finally:
        followings.stop()


def test_without_a_folder_nothing_is_followed(ranker):
    followings = Followings(ranker, None)
    followings.start()
    assert followings.of(ranker) is ranker
    followings.stop()


def test_answers_while_updates_come_are_each_of_one_commit(ranker, chain, updater, tmp_path):
    """Of two items with the same bias in every commit, one of them lifted, the same stands first in the whole answer."""
    told = threading.Event()
    followings = Followings(ranker, tmp_path / "updates")
    followings.start(on_look=told.set)
    try:
        for number in range(1, 31):
            learn(chain, lifted(ranker, "soap" if number % 2 else "rice", 50.0 + number))
            updater.look()
            answer = followings.of(ranker).recommend(ASKED)
            if answer.commit:
                assert answer.items[0].item == ("soap" if answer.commit % 2 else "rice")
        told.clear()
        assert told.wait(10)
        assert told.clear() is None and told.wait(10)
        assert followings.of(ranker).commit == 30
    finally:
        followings.stop()
    assert len(list((tmp_path / "updates").glob("*.safetensors"))) <= 4


def test_the_age_is_since_it_was_last_known_that_nothing_newer_is_served(ranker, chain, updater, following, tmp_path):
    looked = tmp_path / "updates" / LOOKED
    learn(chain, lifted(ranker, "tea"))
    updater.look()
    following.look()
    assert following.age_seconds() < 60
    following._newest_since = 0.0
    os.utime(looked, (looked.stat().st_atime, time.time() - 300))
    assert 299 < following.age_seconds() < 360, "the updater saw nothing since"
    (tmp_path / "updates" / POINTER).write_text("{}")
    following.look()
    looked.touch()
    assert 299 < following.age_seconds() < 360, "what came was refused"
    assert Following(ranker, None).age_seconds() == 0.0


def test_what_is_learned_comes_from_every_kind_of_store(ranker, make_store, tmp_path):
    chain = Chain(make_store(), "grocery", "v123")
    follower = Updater(Chain(make_store(), "grocery", "v123"), tmp_path / "updates", version="v123")
    predictor = Following(ranker, tmp_path / "updates")
    for item in ("tea", "salt"):
        learn(chain, lifted(ranker, item, 50.0 + chain.head))
        assert follower.look() and predictor.look()
        assert first(predictor) == item
    chain.decide("rollback", by="me", reason="to see", to=0)
    assert follower.look() and predictor.look()
    assert predictor.ranker.items()[1].tolist() == ranker.items()[1].tolist()


def test_a_version_that_takes_the_place_of_another_answers_with_what_it_has_learned_from_its_first_answer_on(
    ranker, chain, tmp_path
):
    followings = Followings(ranker, None)
    newer = copy.copy(ranker)
    newer.version = "v456"
    learned = Chain(chain._store, "grocery", "v456")
    learn(learned, lifted(ranker, "soap"))
    Updater(learned, tmp_path / "newer", version="v456").look()
    followings.begin(newer, tmp_path / "newer")
    assert followings.of(newer).recommend(ASKED).items[0].item == "soap"
    assert followings.of(newer).commit == 1
    learn(learned, lifted(ranker, "rice", 90.0))
    Updater(learned, tmp_path / "newer", version="v456").look()
    followings.look()
    assert followings.of(newer).commit == 2
    assert followings.of(ranker) is ranker
    followings.forget("v456")
    assert followings.of(newer) is newer
