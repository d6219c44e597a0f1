"""What a run makes is signed by who publishes it, and a run that could not sign what it must does not begin."""

import json

import pytest
from signed_things import make_key, no_keys, require, write_small_bento, write_small_version

from shoploop.api.signing import SigningSpec
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import KeyUntrusted, KeyUnusable
from shoploop.runs import Plan, ThisMachine, new_run
from shoploop.runs.finishing import publish
from shoploop.runs.launchers import this_machine
from shoploop.runs.pod import Pod
from shoploop.store import Store, layout
from shoploop.versions.keys import SIGNING_KEY, TRUSTED_KEYS
from shoploop.versions.signing import Trust
from shoploop.versions.stored import check_version

__all__ = ["make_key", "no_keys"]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def make_recommender():
    def make(**signing):
        spec = {"data": {"dataset": "completejourney"}, "signing": signing}
        return Recommender.model_validate({"metadata": {"name": "grocery"}, "spec": spec})

    return make


@pytest.fixture
def ended(tmp_path):
    """The folder of a run that has come to its end; and the version that it made."""
    folder = tmp_path / "ended"
    version = write_small_version(folder / "model").id
    write_small_bento(folder / "bento", version)
    for name in ("gate", "evaluation"):
        (folder / name).mkdir()
    verdict = {"passed": True, "rule": "NotWorse", "reason": "better"}
    (folder / "gate" / "gate.json").write_text(json.dumps(verdict))
    measured = {"methods": {"fused": {"ndcg@10": 0.5}}}
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps(measured))
    return folder, version


@pytest.fixture
def plan(make_recommender):
    return Plan(run=new_run(make_recommender()), source="0" * 64, incumbent=None, keys={})


def test_version_and_bento_are_signed_where_a_key_is_at_hand(store, plan, make_key, tmp_path, ended, monkeypatch):
    key = make_key("shop")
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "shop.key"))

    made = publish(store, plan, ended[0], Trust.configured())

    check_version(store, "grocery", ended[1], require(key))
    assert store.exists(layout.bento_signature("grocery", ended[1], made.digest))


def test_without_keys_a_run_is_published_as_ever(store, plan, no_keys, ended):
    assert publish(store, plan, ended[0], Trust.configured()).version == ended[1]
    assert not [key for key in store.list() if key.endswith(".dsse.json")]


def test_where_signatures_are_required_nothing_unsigned_is_published(store, plan, make_key, ended):
    with pytest.raises(KeyUnusable):
        publish(store, plan, ended[0], require(make_key()))
    assert list(store.list()) == []


class Begun(Exception):
    """The run was let through to its plan."""


@pytest.fixture
def launch(store, monkeypatch):
    """Launches a run on this machine; it goes no further than to its plan."""

    def begun(*_):
        raise Begun

    monkeypatch.setattr(this_machine, "make_plan", begun)
    return lambda recommender, **how: ThisMachine(store).launch(new_run(recommender, **how))


def test_a_run_that_cannot_sign_what_it_must_does_not_begin(launch, make_key, make_recommender, tmp_path, monkeypatch):
    key, other = make_key("shop"), make_key("other")
    recommender = make_recommender(publicKeys=[(tmp_path / "shop.pub").read_text()])

    with pytest.raises(KeyUnusable, match=f"none is at hand to sign with: {key.id}"):
        launch(recommender)
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "other.key"))
    with pytest.raises(KeyUntrusted, match=other.id):
        launch(recommender)
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "shop.key"))
    with pytest.raises(Begun):
        launch(recommender)


def test_what_makes_no_version_needs_no_signature(launch, make_key, make_recommender, tmp_path):
    make_key("shop")
    recommender = make_recommender(publicKeys=[(tmp_path / "shop.pub").read_text()])

    with pytest.raises(Begun):
        launch(recommender, until="augment_samples")


@pytest.mark.parametrize("asked", [{"policy": "Ignore"}, {"policy": "Warn"}])
def test_who_does_not_require_signatures_may_run_without_a_key(launch, make_key, make_recommender, tmp_path, asked):
    make_key("shop")

    with pytest.raises(Begun):
        launch(make_recommender(publicKeys=[(tmp_path / "shop.pub").read_text()], **asked))


def test_a_pod_trusts_whom_the_operator_names_now_and_else_whom_the_spec_named(
    make_key, make_recommender, tmp_path, monkeypatch
):
    old, new = make_key("old"), make_key("new")
    pod = object.__new__(Pod)  # without its look at the data
    pod.run = new_run(make_recommender(publicKeys=[(tmp_path / "old.pub").read_text()]))

    assert (pod.trust().policy, list(pod.trust().keys)) == ("Require", [old.id])
    monkeypatch.setenv(TRUSTED_KEYS, (tmp_path / "new.pub").read_text())
    assert (pod.trust().policy, list(pod.trust().keys)) == ("Require", [new.id])


@pytest.mark.parametrize(
    "key",
    ["not a key", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQ\n-----END PUBLIC KEY-----\n"],
    ids=["words", "rsa"],
)
def test_a_spec_takes_only_ed25519_public_keys(key):
    with pytest.raises(ValueError, match="publicKeys"):
        SigningSpec.model_validate({"publicKeys": [key]})


def test_a_spec_takes_what_keys_new_writes(make_key, tmp_path):
    make_key("shop")
    text = (tmp_path / "shop.pub").read_text()

    for written in (text, text.strip(), f"\n{text}\n"):
        assert SigningSpec(public_keys=[written]).asked == "Require"
