"""What a run makes is signed by who publishes it, and a run that could not sign what it must does not begin."""

import json

import pytest
from signed_things import make_key, no_keys, require, write_small_bento, write_small_version

from shoploop.api.signing import SigningSpec
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import KeyUntrusted, KeyUnusable
from shoploop.runs import Plan, Run, ThisMachine, new_run
from shoploop.runs import publish as publish_folder
from shoploop.runs.pod import Pod
from shoploop.steps import Workspace
from shoploop.store import Store, layout
from shoploop.versions.keys import SIGNING_KEY, TRUSTED_KEYS
from shoploop.versions.signing import Trust
from shoploop.versions.stored import check_version

__all__ = ["make_key", "no_keys"]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def make_recommender(tmp_path):
    (tmp_path / "events.csv").write_text("user,item,time\nu,i,2026-01-01T00:00:00Z\n")

    def make(**signing):
        spec = {"data": {"tables": {"interactions": {"uri": str(tmp_path / "events.csv")}}}, "signing": signing}
        return Recommender.model_validate({"metadata": {"name": "grocery"}, "spec": spec})

    return make


@pytest.fixture
def publish_run(make_recommender):
    """Publishes the folder of a run that has come to its end."""
    plan = Plan(run=Run(id="run", recommender=make_recommender()), source="s", incumbent=None, keys={})
    return lambda store, folder, trust: publish_folder(store, plan, folder, trust)


def begun(recommender, store, until=None):
    """A run that was launched, with a pipeline that does nothing."""
    launcher, run = ThisMachine(store, pipeline=("true",)), new_run(recommender, until=until)
    launcher.launch(run)
    launcher.cancel(run)
    return run


@pytest.fixture
def run(tmp_path):
    """The folder of a run that has come to its end; and the version that it made."""
    folder = tmp_path / "ended"
    version = write_small_version(folder / "model").id
    write_small_bento(folder / "bento", version)
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps({"methods": {"fused": {"ndcg@10": 0.5}}}))
    (folder / "gate").mkdir()
    (folder / "gate" / "gate.json").write_text(json.dumps({"passed": True, "rule": "NotWorse", "reason": "better"}))
    return folder, version


def test_version_and_bento_are_signed_where_a_key_is_at_hand(store, make_key, tmp_path, run, monkeypatch, publish_run):
    key = make_key("shop")
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "shop.key"))

    made = publish_run(store, run[0], Trust.configured())

    check_version(store, "grocery", run[1], require(key))
    assert store.exists(layout.bento_signature("grocery", run[1], made.digest))


def test_without_keys_a_run_is_published_as_ever(store, no_keys, run, publish_run):
    assert publish_run(store, run[0], Trust.configured()).version == run[1]
    assert not [key for key in store.list() if key.endswith(".dsse.json")]


def test_where_signatures_are_required_nothing_unsigned_is_published(store, make_key, run, publish_run):
    with pytest.raises(KeyUnusable):
        publish_run(store, run[0], require(make_key()))
    assert list(store.list()) == []


def test_a_run_that_cannot_sign_what_it_must_does_not_begin(store, make_key, make_recommender, tmp_path, monkeypatch):
    key, other = make_key("shop"), make_key("other")
    recommender = make_recommender(publicKeys=[(tmp_path / "shop.pub").read_text()])

    with pytest.raises(KeyUnusable, match=f"none is at hand to sign with: {key.id}"):
        begun(recommender, store)
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "other.key"))
    with pytest.raises(KeyUntrusted, match=other.id):
        begun(recommender, store)
    monkeypatch.setenv(SIGNING_KEY, str(tmp_path / "shop.key"))
    assert begun(recommender, store).steps


def test_what_makes_no_version_needs_no_signature(store, make_key, make_recommender, tmp_path):
    make_key("shop")
    recommender = make_recommender(publicKeys=[(tmp_path / "shop.pub").read_text()])

    assert begun(recommender, store, until="augment_samples").steps


@pytest.mark.parametrize("asked", [{"policy": "Ignore"}, {"policy": "Warn"}])
def test_who_does_not_require_signatures_may_run_without_a_key(store, make_key, make_recommender, tmp_path, asked):
    make_key("shop")
    recommender = make_recommender(publicKeys=[(tmp_path / "shop.pub").read_text()], **asked)

    assert begun(recommender, store).steps


def test_a_pod_trusts_whom_the_operator_names_now_and_else_whom_the_spec_named(
    store, make_key, make_recommender, tmp_path, monkeypatch
):
    old, new = make_key("old"), make_key("new")
    run = Run(id="run", recommender=make_recommender(publicKeys=[(tmp_path / "old.pub").read_text()]))
    pod = Pod(run, Workspace(store, "grocery", tmp_path))

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
