"""Recommenders that need no training and no pods: a version that passed lies ready, and zero pods are wanted.

With them the operator's behaviour is looked at in seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from conftest import Cluster, Object, condition

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide.manifests import pack_hash, spec_hash

RELEASED = ("deployment", "service", "serviceaccount", "poddisruptionbudget", "networkpolicy")


def recommender(name: str, namespace: str, **spec: Any) -> Object:
    body = {
        "data": {"dataset": "completejourney"},
        "store": {"uri": f"s3://{namespace}/{name}"},
        "serving": {"replicas": 0},
        "training": {"resources": {"cpu": "50m", "memory": "1Gi"}},
    }
    return {
        "apiVersion": "shoploop.io/v1alpha1",
        "kind": "Recommender",
        "metadata": {"name": name, "namespace": namespace},
        "spec": body | spec,
    }


def version(of: Object, number: int = 1, *, passed: bool = True) -> Object:
    name, namespace = of["metadata"]["name"], of["metadata"]["namespace"]
    known = f"v{number:012x}"
    asked = RecommenderSpec.model_validate(of["spec"])
    since = {"run": f"run-{number}", "time": f"2026-01-01T00:00:{number:02}Z"}
    verdict = since | {"rule": "NotWorse", "passed": passed, "reason": "For a test.", "specHash": spec_hash(asked)}
    package = since | {
        "digest": f"{number:064x}",
        "bento": f"{of['spec']['store']['uri']}/recommenders/{name}/versions/{known}/bento/{number:016x}.bento",
        "packHash": pack_hash(asked),
    }
    return {
        "apiVersion": "shoploop.io/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": f"{name}-{known}", "namespace": namespace},
        "spec": {"recommender": name, "version": known},
        "status": {"serving": False, "verdicts": [verdict], "packages": [package]},
    }


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One Recommender in a namespace, and ways to ask about it."""

    cluster: Cluster
    namespace: str
    name: str = "grocery"

    @property
    def where(self) -> tuple[str, str]:
        return ("-n", self.namespace)

    def live(self) -> Object:
        return self.cluster.get("recommender", self.name, *self.where)

    def wait(self, what: str, ready: Any, *, seconds: float = 60) -> Any:
        return self.cluster.wait(what, ready, seconds=seconds, tell=lambda: self.cluster.story(self.namespace))

    def wait_for(self, type_: str, reason: str, *, seconds: float = 60) -> Object:
        """The condition, once it has that reason for the spec as it now is."""

        def found() -> Object | None:
            live = self.live()
            one = condition(live, type_)
            current = one.get("observedGeneration") == live["metadata"]["generation"]
            return one if one["reason"] == reason and current else None

        return self.wait(f"{self.name}: {type_} {reason}", found, seconds=seconds)

    def patch(self, **spec: Any) -> None:
        import json

        body = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "recommender", self.name, *self.where, "--type=merge", "-p", body)

    def annotate(self, annotation: str) -> None:
        self.cluster.kubectl("annotate", "recommender", self.name, *self.where, annotation, "--overwrite")

    def revisions(self) -> list[Object]:
        import json

        told = self.cluster.helm("history", self.name, *self.where, "-o", "json")
        return list(json.loads(told))

    def events(self) -> set[str]:
        fields = f"involvedObject.name={self.name},involvedObject.kind=Recommender"
        return {event["reason"] for event in self.cluster.items("events", *self.where, "--field-selector", fields)}


@contextmanager
def prepared(cluster: Cluster, namespace: str, **spec: Any) -> Iterator[Prepared]:
    """A namespace with a Recommender that is ready; both are gone afterwards."""
    with cluster.namespace(namespace):
        made = recommender("grocery", namespace, **spec)
        cluster.apply(version(made), made)
        found = Prepared(cluster=cluster, namespace=namespace)
        found.wait_for("Ready", "ScaledToZero")
        yield found
        cluster.kubectl("delete", "recommenders", "--all", "-n", namespace, "--timeout=90s", timeout=100)
