"""What the checks look at, read from the cluster once."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from shoploop.cli.kubectl import Kubectl


@dataclass(frozen=True)
class Cluster:
    """A cluster's objects, each kind read when a check first asks for it."""

    kubectl: Kubectl
    namespace: str = field(default="default")

    @cached_property
    def recommenders(self) -> list[dict[str, Any]]:
        return self.kubectl.items("recommenders.shoploop.io", "--all-namespaces")

    @cached_property
    def operators(self) -> list[dict[str, Any]]:
        selector = "app.kubernetes.io/part-of=shoploop,app.kubernetes.io/component=operator"
        return self.kubectl.items("deployments", "--all-namespaces", "-l", selector)

    @cached_property
    def definitions(self) -> dict[str, dict[str, Any]]:
        return {found["metadata"]["name"]: found for found in self.kubectl.items("customresourcedefinitions")}

    @cached_property
    def services(self) -> dict[tuple[str, str], dict[str, Any]]:
        found = self.kubectl.items("services", "--all-namespaces")
        return {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in found}

    @cached_property
    def nodes(self) -> list[dict[str, Any]]:
        return self.kubectl.items("nodes")

    def wanting(self, path: str) -> list[tuple[str, Any]]:
        """The Recommenders whose spec sets the field at ``path``, e.g. ``training.nodes``: full name, and the value."""
        found = []
        for one in self.recommenders:
            value: Any = one["spec"]
            for key in path.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            if value:
                found.append((full_name(one), value))
        return found


def full_name(one: dict[str, Any]) -> str:
    """Namespace and name of an object."""
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"
