"""Who signs what a Recommender's runs make, and whose signatures are trusted."""

from collections.abc import Iterator

from pydantic import ValidationError

from shoploop.api.signing import STRICTEST_FIRST, SigningPolicy, SigningSpec, strictest
from shoploop.cli.doctor.facts import Cluster, full_name
from shoploop.cli.doctor.finding import Finding
from shoploop.errors import NotFound

MAKE_KEYS = "shoploop keys new NAME   # and name both halves in spec.signing, as docs/signing.md says"


def check_signing(cluster: Cluster) -> Iterator[Finding]:
    """Each Recommender has what its policy asks for. That nothing is asked for is told, and is no fault."""
    least = platform_policy(cluster)
    for one in cluster.recommenders:
        about, namespace = f"signing of {full_name(one)}", one["metadata"]["namespace"]
        try:
            spec = SigningSpec.model_validate(one["spec"].get("signing", {}))
        except ValidationError:
            continue  # only an operator of another version lets such a spec pass; its condition Ready says more
        policy, secret = strictest(least, spec.asked), spec.private_key
        if policy != "Ignore" and not spec.public_keys:
            detail = f"the policy is {policy}, and spec.signing.publicKeys names no key that is trusted"
            yield Finding(about=about, state="missing", detail=detail, remedy=MAKE_KEYS)
        elif policy == "Require" and secret is None:
            detail = "signatures are required, and spec.signing.privateKey names no key to sign with"
            yield Finding(about=about, state="missing", detail=detail, remedy=MAKE_KEYS)
        elif secret is not None and not has_key(cluster, namespace, secret.name, secret.key):
            detail = f"Secret {secret.name} has no key {secret.key}, with which runs sign"
            remedy = f"kubectl -n {namespace} create secret generic {secret.name} --from-file={secret.key}=NAME.key"
            yield Finding(about=about, state="missing", detail=detail, remedy=remedy)
        elif policy == "Ignore":
            detail = "nobody looks at signatures: who may write the store decides what predictors run"
            yield Finding(about=about, state="unused", detail=detail, remedy=MAKE_KEYS)
        else:
            yield Finding(about=about, state="ok", detail=in_words(policy, spec))


def platform_policy(cluster: Cluster) -> SigningPolicy | None:
    """The least that the operator asks of every Recommender, as charts/shoploop told it."""
    for one in cluster.operators:
        for variable in one["spec"]["template"]["spec"]["containers"][0].get("env", []):
            if variable["name"] == "SHOPLOOP_SIGNING_POLICY":
                return next((policy for policy in STRICTEST_FIRST if policy == variable.get("value")), None)
    return None


def has_key(cluster: Cluster, namespace: str, secret: str, key: str) -> bool:
    """Whether a Secret has a key; what is in it is not looked at."""
    try:
        found = cluster.kubectl.get("secret", secret, f"--namespace={namespace}")
    except NotFound:
        return False
    return key in found.get("data", {})


def in_words(policy: SigningPolicy, spec: SigningSpec) -> str:
    trusted = f"{len(spec.public_keys)} trusted key{'s' * (len(spec.public_keys) != 1)}"
    return f"{policy}, {trusted}; " + (
        f"runs sign with Secret {spec.private_key.name}" if spec.private_key else "runs do not sign"
    )
