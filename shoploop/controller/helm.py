"""The real helm program, by subprocess, and what it keeps in its Secrets.

Reads come from Helm's own Secrets: a `helm get` for every look at a release would cost 0.2 s each.
"""

import base64
import gzip
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.names import RECOMMENDER_LABEL, Object
from shoploop.controller.decide.observed import Install, Release
from shoploop.errors import ShoploopError

HISTORY = 5
"""Revisions that are kept for `helm history`."""

TIMEOUT_SECONDS = 120


class HelmFailed(ShoploopError):
    """helm ended with an error; ``found`` says which."""

    def __init__(self, found: Found):
        super().__init__(found.message)
        self.found = found


@dataclass(frozen=True, kw_only=True)
class Helm:
    program: str
    chart: Path
    slots: BoundedSemaphore
    """How many may run at once."""

    def install(self, namespace: str, action: Install) -> None:
        """Installs or upgrades; returns when the objects are written, not when pods are ready.

        Raises:
            HelmFailed: helm refused.
        """
        with tempfile.TemporaryDirectory(prefix="shoploop-helm-") as folder:
            file = Path(folder) / "values.json"
            file.write_text(json.dumps(action.values))
            self._run(
                "upgrade", action.name, str(self.chart), "--install", "--namespace", namespace,
                "--values", str(file), "--description", action.description,
                "--labels", f"{RECOMMENDER_LABEL}={action.name}", "--history-max", str(HISTORY),
                "--disable-openapi-validation", "--timeout", f"{TIMEOUT_SECONDS}s",
            )  # fmt: skip

    def uninstall(self, namespace: str, name: str) -> None:
        """Removes the release and its history; one that is not there is no error.

        Raises:
            HelmFailed: helm refused.
        """
        self._run("uninstall", name, "--namespace", namespace, "--ignore-not-found", "--timeout", f"{TIMEOUT_SECONDS}s")

    def _run(self, *arguments: str) -> str:
        with self.slots:
            try:
                done = subprocess.run(
                    [self.program, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS + 30,
                    env=past_proxies(os.environ),
                )  # fmt: skip
            except FileNotFoundError as error:
                detail = f"there is no program {self.program}; set SHOPLOOP_HELM."
                raise HelmFailed(say("ReleaseFailed", release=arguments[1], detail=detail)) from error
            except subprocess.TimeoutExpired as error:
                detail = f"helm did not end within {TIMEOUT_SECONDS + 30} s."
                raise HelmFailed(say("ReleaseFailed", release=arguments[1], detail=detail)) from error
        if done.returncode:
            raise HelmFailed(why(arguments[1], done.stderr))
        return done.stdout


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a pod's own API server is asked directly: helm knows it by its address, which is in no NO_PROXY
    that names the cluster's domains."""
    host = environment.get("KUBERNETES_SERVICE_HOST")
    if not host:
        return dict(environment)
    given = environment.get("NO_PROXY") or environment.get("no_proxy")
    return {**environment, "NO_PROXY": f"{given},{host}" if given else host}


def why(release: str, stderr: str) -> Found:
    """Which reason helm's words amount to."""
    lines = [line for line in stderr.splitlines() if not line.startswith("WARNING:")]
    words = " ".join(" ".join(lines).split()).removeprefix("Error: ").removeprefix("UPGRADE FAILED: ")
    if "cannot be imported into the current release" in words:
        return say("ForeignObject", object=f"An object of Helm release {release}", detail=words)
    if "don't meet the specifications of the schema" in words:
        return say("ValuesRefused", detail=words)
    if "exceeded quota" in words:
        return say("QuotaExceeded", detail=words)
    if "is forbidden" in words:
        return say("Forbidden", detail=words)
    return say("ReleaseFailed", release=release, detail=words)


def read_release(secret: Object) -> Release | None:
    """The revision that one of Helm's Secrets holds; None where it holds none that can be read."""
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        kept: dict[str, Any] = json.loads(gzip.decompress(packed))
        info = kept["info"]
        values = kept.get("config")
        return Release(
            name=kept["name"],
            revision=int(kept["version"]),
            status=info["status"],
            description=info.get("description", ""),
            deployed_at=_time(info.get("last_deployed", "")),
            chart=kept["chart"]["metadata"]["name"],
            recommender=_text(values, "recommender", "name"),
            version=_text(values, "version", "id"),
            digest=_text(values, "version", "digest"),
            manifest=kept.get("manifest", ""),
        )
    except (KeyError, ValueError, TypeError, OSError):
        return None


def _text(values: Any, *path: str) -> str:
    """A text of somebody's values; empty where there is none, for those of a foreign chart may have any shape."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, str) else ""


def _time(written: str) -> datetime:
    """Helm writes nanoseconds, more than Python reads."""
    head, dot, rest = written.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    try:
        return datetime.fromisoformat(head + dot + rest[: min(digits, 6)] + rest[digits:])
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def secret_name(release: str, revision: int) -> str:
    return f"sh.helm.release.v1.{release}.v{revision}"
