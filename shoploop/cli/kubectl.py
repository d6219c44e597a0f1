"""A cluster as seen through the person's own kubectl: their context, their plugins, their permissions.

It must not know what shoploop looks for there.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from shoploop.errors import NotFound, ShoploopError

TIMEOUT_SECONDS = 30


class ClusterUnavailable(ShoploopError):
    """There is no cluster to look at: no kubectl, no context, or no answer."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """kubectl in one context and namespace; None means what kubectl itself takes."""

    context: str | None = None
    namespace: str | None = None

    def command(self, *args: str) -> list[str]:
        """The command line, for a process that a person sees.

        Raises:
            ClusterUnavailable: kubectl is not installed.
        """
        program = shutil.which("kubectl")
        if program is None:
            raise ClusterUnavailable(
                "kubectl is not on the PATH. Install it, and point KUBECONFIG at your cluster: "
                "https://kubernetes.io/docs/tasks/tools/"
            )
        where = [f"--context={self.context}"] if self.context else []
        where += [f"--namespace={self.namespace}"] if self.namespace else []
        return [program, *where, *args]

    def run(self, *args: str) -> str:
        """What kubectl printed.

        Raises:
            NotFound: the object or its kind does not exist.
            ClusterUnavailable: the cluster did not answer, or refused.
        """
        command = self.command(f"--request-timeout={TIMEOUT_SECONDS}s", *args)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=2 * TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ClusterUnavailable(f"The cluster did not answer within {2 * TIMEOUT_SECONDS} s.") from error
        if done.returncode == 0:
            return done.stdout
        lines = done.stderr.strip().splitlines() or [f"kubectl ended with {done.returncode}"]
        if "NotFound" in done.stderr or "the server doesn't have a resource type" in done.stderr:
            raise NotFound(lines[-1])
        raise ClusterUnavailable(
            f"The cluster did not do `kubectl {' '.join(args[:3])}`: {lines[-1]}. Check `kubectl cluster-info`, "
            "KUBECONFIG and the context."
        )

    def get(self, *args: str) -> dict[str, Any]:
        """An object, or a list of them, as the API server knows it."""
        found: dict[str, Any] = json.loads(self.run("get", *args, "-o", "json"))
        return found

    def items(self, *args: str) -> list[dict[str, Any]]:
        """The objects of a list; none where the kind is not known to the cluster."""
        try:
            return list(self.get(*args)["items"])
        except NotFound:
            return []

    def allowed(self, verb: str, resource: str, *, namespace: str | None = None) -> bool:
        """Whether this person may do ``verb`` on ``resource``."""
        where = [f"--namespace={namespace}"] if namespace else []
        done = subprocess.run(
            self.command("auth", "can-i", verb, resource, *where),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        return done.stdout.strip() == "yes"
