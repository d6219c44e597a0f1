"""Who is given which keys on a cluster, and what the operator says where signatures cannot be had."""

import pytest
from signed_things import make_key, no_keys
from worlds import chart_values as values
from worlds import condition, message

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests, outcome
from shoploop.controller.decide.settings import Settings
from shoploop.errors import SpecInvalid

__all__ = ["make_key", "no_keys"]


@pytest.fixture
def public(make_key, tmp_path) -> str:
    make_key("shop")
    return (tmp_path / "shop.pub").read_text()


@pytest.fixture
def signing(public) -> dict:
    return {"publicKeys": [public], "privateKey": {"name": "signing"}}


def requiring(settings: Settings, policy: str = "Require") -> Settings:
    return Settings(
        chart=settings.chart, pipeline_image=settings.pipeline_image, serving_image=settings.serving_image,
        signing_policy=policy,
    )  # fmt: skip


def pods(recommender, settings):
    """The pods of a run, in order."""
    spec = RecommenderSpec.model_validate(recommender["spec"])
    count = len(manifests.parts(spec))
    return [
        manifests.job(recommender, spec, "r", index, settings)["spec"]["template"]["spec"] for index in range(count)
    ]


def env(pod) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in pod["containers"][0]["env"]}


def test_by_default_no_pod_hears_of_signatures(make_recommender, make_version, settings):
    recommender = make_recommender()

    assert not [name for pod in pods(recommender, settings) for name in env(pod) if "SIGN" in name or "TRUST" in name]
    assert values(recommender, make_version(), settings)["signing"] == {"policy": "Ignore", "publicKeys": []}


def test_only_the_pod_that_publishes_has_the_private_key_and_as_a_file(make_recommender, settings, signing):
    recommender = make_recommender(signing=signing, training={"resources": {"gpu": 1}})

    *others, last = pods(recommender, settings)
    spec = RecommenderSpec.model_validate(recommender["spec"])
    renewal = manifests.renewal_job(recommender, spec, "r", settings)["spec"]["template"]["spec"]

    assert len(others) == 2
    for pod in others:
        assert "SHOPLOOP_SIGNING_KEY" not in env(pod)
        assert not [volume for volume in pod["volumes"] if "secret" in volume]
    for pod in (last, renewal):
        assert env(pod)["SHOPLOOP_SIGNING_KEY"] == "/etc/shoploop/signing/private.pem"
        (secret,) = (volume["secret"] for volume in pod["volumes"] if "secret" in volume)
        items = [{"key": "private.pem", "path": "private.pem", "mode": 0o440}]
        assert secret == {"secretName": "signing", "items": items}
        (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "signing-key")
        assert mount == {"name": "signing-key", "mountPath": "/etc/shoploop/signing", "readOnly": True}


def test_every_pod_of_a_run_and_the_predictors_get_the_public_keys(
    make_recommender, make_version, settings, signing, public
):
    recommender = make_recommender(signing=signing, training={"resources": {"gpu": 1}})

    for pod in pods(recommender, settings):
        assert env(pod)["SHOPLOOP_TRUSTED_KEYS"] == public
        assert env(pod)["SHOPLOOP_SIGNING_POLICY"] == "Require"
    assert values(recommender, make_version(), settings)["signing"] == {"policy": "Require", "publicKeys": [public]}


def test_other_keys_are_another_release_and_move_a_run_that_is_unfinished(
    make_recommender, make_version, settings, signing
):
    without, with_keys = make_recommender(), make_recommender(signing=signing)
    specs = [RecommenderSpec.model_validate(one["spec"]) for one in (without, with_keys)]

    assert values(without, make_version(), settings) != values(with_keys, make_version(), settings)
    assert manifests.pod_hash(specs[0]) != manifests.pod_hash(specs[1])
    assert manifests.spec_hash(specs[0]) == manifests.spec_hash(specs[1]), "nothing is trained again"


@pytest.mark.parametrize(
    ("platform", "asked", "held"),
    [
        ("Require", "Ignore", "Require"), ("Warn", "Ignore", "Warn"), ("Warn", None, "Require"),
        ("Ignore", None, "Require"), (None, "Warn", "Warn"), (None, "Ignore", "Ignore"),
    ],
)  # fmt: skip
def test_a_recommender_cannot_ask_for_less_than_the_platform_does(
    make_recommender, make_version, settings, signing, platform, asked, held
):
    recommender = make_recommender(signing=signing | ({"policy": asked} if asked else {}))

    assert values(recommender, make_version(), requiring(settings, platform))["signing"]["policy"] == held


@pytest.fixture
def plan_with(settings, plan, monkeypatch):
    """A plan of an operator that was installed with a signing policy."""
    from worlds import CHART_DIGEST, NOW

    from shoploop.controller.decide.observed import Observed
    from shoploop.controller.decide.reconcile import desired

    def decide(recommender, policy, **world):
        return desired(recommender, Observed(now=NOW, **world), requiring(settings, policy), chart_digest=CHART_DIGEST)

    return decide


def test_a_platform_that_requires_signatures_starts_nothing_that_could_not_serve(make_recommender, plan_with):
    made = plan_with(make_recommender(), "Require")

    assert condition(made, "Ready") == ("False", "SigningIncomplete")
    assert "policy is Require, and spec.signing.publicKeys is not set" in message(made, "Ready")
    assert (made.apply, made.release) == ((), None)
    assert [(event.type, event.reason) for event in made.events] == [("Warning", "SigningIncomplete")]


def test_required_signatures_need_somebody_who_signs(make_recommender, plan, public):
    made = plan(make_recommender(signing={"publicKeys": [public]}))

    assert condition(made, "Ready") == ("False", "SigningIncomplete")
    assert "spec.signing.privateKey is not set" in message(made, "Ready")


@pytest.mark.parametrize("keys", [None, frozenset(), frozenset({"other.pem"})], ids=["no-secret", "empty", "other-key"])
def test_a_missing_private_key_is_named_before_anything_is_trained(make_recommender, plan, signing, keys):
    made = plan(make_recommender(signing=signing), signing_keys=keys)

    assert condition(made, "Degraded") == ("True", "SigningKeyMissing")
    assert "kubectl -n shop create secret generic signing --from-file=private.pem=NAME.key" in message(made, "Ready")
    assert made.apply == ()


def test_with_its_keys_a_run_starts(make_recommender, plan, signing):
    made = plan(make_recommender(signing=signing), signing_keys=frozenset({"private.pem"}))

    assert condition(made, "Progressing")[0] == "True"
    assert {one["kind"] for one in made.apply} >= {"Job", "ConfigMap"}


def test_why_a_predictor_refuses_its_bento_is_told_in_its_own_words():
    refused = (
        "shoploop: ArtifactUnsigned: s3://shop/a.bento is not signed, and a signature by one of these keys is asked for"
    )
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=fetch"}
    status = {"state": {"waiting": waiting}, "lastState": {"terminated": {"exitCode": 2, "message": refused}}}

    assert refused in outcome.trouble([{"status": {"initContainerStatuses": [{"name": "fetch"} | status]}}])


def test_an_operator_that_does_not_know_its_policy_does_not_start():
    assert Settings.from_env({"SHOPLOOP_SIGNING_POLICY": "Warn"}).signing_policy == "Warn"
    assert Settings.from_env({"SHOPLOOP_SIGNING_POLICY": ""}).signing_policy is None
    with pytest.raises(SpecInvalid, match="'required'"):
        Settings.from_env({"SHOPLOOP_SIGNING_POLICY": "required"})
