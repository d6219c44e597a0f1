"""A Recommender as the API server holds it, and a world around it. A test names only what it is about."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from worlds import CHART_DIGEST, NOW, UID, situation

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide import releases
from shoploop.controller.decide.names import FINALIZER, Object
from shoploop.controller.decide.observed import Observed, Release
from shoploop.controller.decide.reconcile import desired
from shoploop.controller.decide.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(chart=tmp_path, pipeline_image="localhost/pipeline:1", serving_image="registry.io/shop/serving:1")


@pytest.fixture
def make_recommender():
    """As the API server holds it: with defaults, and with our finalizer."""

    def make(*, status: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **spec: Any) -> Object:
        whole = {"data": {"dataset": "completejourney"}, "store": {"uri": "s3://shop/loop"}} | spec
        filled = RecommenderSpec.model_validate(whole).model_dump(mode="json", by_alias=True, exclude_none=True)
        metadata = {
            "name": "grocery",
            "namespace": "shop",
            "uid": UID,
            "generation": 1,
            "resourceVersion": "7",
            "creationTimestamp": "2026-03-01T00:00:00Z",
            "finalizers": [FINALIZER],
        }
        made = {"apiVersion": "shoploop.io/v1alpha1", "kind": "Recommender", "metadata": metadata | (meta or {})}
        return made | {"spec": filled} | ({"status": status} if status is not None else {})

    return make


@pytest.fixture
def make_version():
    def make(
        version: str = "v000000000001", *, passed: bool = True, day: int = 1, spec_hash: str = "another",
        digest: str = "a" * 64, **status: Any,
    ) -> Object:  # fmt: skip
        since = {"run": f"run-{day:02}", "time": f"2026-03-{day:02}T00:00:00Z"}
        verdict = since | {"rule": "NotWorse", "passed": passed, "reason": "As it is.", "specHash": spec_hash}
        package = since | {"digest": digest, "bento": f"s3://shop/loop/{version}.bento", "packHash": "another"}
        return {
            "apiVersion": "shoploop.io/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {
                "name": f"grocery-{version}",
                "namespace": "shop",
                "creationTimestamp": f"2026-03-{day:02}T00:00:00Z",
            },
            "spec": {"recommender": "grocery", "version": version},
            "status": {"serving": False, "verdicts": [verdict], "packages": [package]} | status,
        }

    return make


@pytest.fixture
def make_release():
    """One revision; by default what the operator itself would have made."""

    def make(
        recommender: Object, version: Object, settings: Settings, *, revision: int = 1, status: str = "deployed",
        description: str | None = None, manifest: str = "", age_seconds: float = 60, chart: str = "recommender",
    ) -> Release:  # fmt: skip
        made = situation(recommender, version, settings=settings)
        (known,) = made.versions
        wanted = releases.values(made, known, known.packages[0])
        mark = releases.mark(wanted, CHART_DIGEST)
        return Release(
            name="grocery",
            revision=revision,
            status=status,
            description=releases.description("v", 1, mark) if description is None else description,
            deployed_at=NOW - timedelta(seconds=age_seconds),
            chart=chart,
            recommender="grocery",
            version=version["spec"]["version"],
            digest=known.packages[0].digest,
            manifest=manifest,
        )

    return make


@pytest.fixture
def make_job():
    """The Job of one part of a run, in some state, and its pod."""

    def make(
        recommender: Object, run: str, settings: Settings, *, part: int = 0, state: str = "Active",
        said: str | None = None, exit_code: int = 0,
    ) -> tuple[Object, list[Object]]:  # fmt: skip
        spec = RecommenderSpec.model_validate(recommender["spec"])
        job = runs.job(recommender, spec, run, part, settings)
        job["metadata"]["uid"] = f"job-{part}"
        if state != "Active":
            job["status"] = {"conditions": [{"type": state, "status": "True", "reason": "Because", "message": "so"}]}
        pods = []
        if said is not None:
            ended = {"terminated": {"exitCode": exit_code, "message": said}}
            pods = [
                {
                    "metadata": {"name": "pod", "ownerReferences": [{"uid": job["metadata"]["uid"]}]},
                    "status": {"containerStatuses": [{"name": "steps", "state": ended}]},
                }
            ]
        return job, pods

    return make


@pytest.fixture
def make_deployment():
    def make(*, wanted: int = 2, ready: int | None = None, **status: Any) -> Object:
        count = wanted if ready is None else ready
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "grocery-predictor", "namespace": "shop", "generation": 1},
            "spec": {"replicas": wanted},
            "status": {
                "observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": count
            } | status,
        }  # fmt: skip

    return make


@pytest.fixture
def plan(settings: Settings):
    """What is decided about a Recommender in a world of these objects."""

    def decide(recommender: Object, *objects: Object, now: datetime = NOW, **world: Any):
        children = {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}
        observed = Observed(now=now, children=children, **world)
        return desired(recommender, observed, settings, chart_digest=CHART_DIGEST)

    return decide
