"""How the operator was installed: everything that charts/shoploop hands it through its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from shoploop.api.signing import STRICTEST_FIRST, SigningPolicy
from shoploop.errors import SpecInvalid


@dataclass(frozen=True, kw_only=True)
class Settings:
    chart: Path
    """The folder of charts/recommender."""

    pipeline_image: str
    serving_image: str

    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()

    signing_policy: SigningPolicy | None = None
    """The least that every Recommender's signing policy is; None leaves it to them."""

    namespaces: tuple[str, ...] = ()
    """Namespaces that are served; none means all."""

    helm: str = "helm"
    """The helm program."""

    workers: int = 4
    """Recommenders that are reconciled at once."""

    helm_processes: int = 2
    """helm programs that run at once; each needs about half a core second."""

    resync_seconds: float = 600
    """A Recommender is looked at this often even when nothing happens."""

    audit_seconds: float = 60
    """How often what the watches told is compared with what the API server says."""

    deletion_seconds: float = 300
    """After this long a deletion no longer waits for its children."""

    health_port: int = 8080
    metrics_port: int = 9090
    log_level: str = "info"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        def names(variable: str) -> tuple[str, ...]:
            return tuple(part.strip() for part in env.get(variable, "").split(",") if part.strip())

        return cls(
            chart=Path(env.get("SHOPLOOP_CHART", "charts/recommender")),
            pipeline_image=env.get("SHOPLOOP_PIPELINE_IMAGE", "shoploop/pipeline:latest"),
            serving_image=env.get("SHOPLOOP_SERVING_IMAGE", "shoploop/serving:latest"),
            pull_policy=env.get("SHOPLOOP_IMAGE_PULL_POLICY", cls.pull_policy),
            pull_secrets=names("SHOPLOOP_IMAGE_PULL_SECRETS"),
            signing_policy=_signing_policy(env.get("SHOPLOOP_SIGNING_POLICY")),
            namespaces=names("SHOPLOOP_NAMESPACES"),
            helm=env.get("SHOPLOOP_HELM", cls.helm),
            workers=int(env.get("SHOPLOOP_WORKERS", cls.workers)),
            helm_processes=int(env.get("SHOPLOOP_HELM_PROCESSES", cls.helm_processes)),
            resync_seconds=float(env.get("SHOPLOOP_RESYNC_SECONDS", cls.resync_seconds)),
            audit_seconds=float(env.get("SHOPLOOP_AUDIT_SECONDS", cls.audit_seconds)),
            deletion_seconds=float(env.get("SHOPLOOP_DELETION_SECONDS", cls.deletion_seconds)),
            health_port=int(env.get("SHOPLOOP_HEALTH_PORT", cls.health_port)),
            metrics_port=int(env.get("SHOPLOOP_METRICS_PORT", cls.metrics_port)),
            log_level=env.get("SHOPLOOP_LOG_LEVEL", cls.log_level),
        )


def _signing_policy(asked: str | None) -> SigningPolicy | None:
    """An operator that does not understand how strict it is to be must not start."""
    found = next((policy for policy in STRICTEST_FIRST if policy == asked), None)
    if asked and found is None:
        raise SpecInvalid(f"SHOPLOOP_SIGNING_POLICY is {asked!r}. Set signing.policy to {', '.join(STRICTEST_FIRST)}.")
    return found


def chart_digest(chart: Path) -> str:
    """Digest of every file of a chart: another chart is a reason for another revision."""
    digest = sha256()
    for path in sorted(chart.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(chart).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
