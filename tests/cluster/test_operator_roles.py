"""What the operator did, by the API server's audit log, is what its role allows, and no less.

Told after the other tests of the operator: it looks at what they made it do.
"""

import json
import os
from pathlib import Path

import pytest
from conftest import PLATFORM, Cluster

from shoploop.controller.decide.kinds import PERMISSIONS

pytestmark = pytest.mark.cluster

ACCOUNT = f"system:serviceaccount:{PLATFORM}:shoploop-operator"
OPTIONAL = {"keda.sh", "gateway.networking.k8s.io", "monitoring.coreos.com", "trainer.kubeflow.org"}
"""Groups that this cluster lacks, or has only where a test brings them."""

WITHOUT_A_REQUEST = {
    ("batch", "jobs", "create"),  # asked for by a server-side apply of what is not there yet
    ("", "configmaps", "create"),
    ("", "persistentvolumeclaims", "create"),
    ("shoploop.io", "modelversions", "create"),
}
"""The API server asks the role about these beside a request of another verb."""

ONLY_WHERE_THEY_ARE_ASKED_FOR = {"ingresses", "pods/log", "statefulsets"}

EVERYTHING = {"test_story.py", "test_operator_repairs.py", "test_operator_runs.py", "test_operator_bad_input.py"}
"""Files whose tests make the operator do all that it can do."""


def used() -> set[tuple[str, str, str]]:
    logs = Path(os.environ.get("KUBEBOX_HOME", "/var/lib/kubebox")) / "log"
    files = sorted(logs.glob("audit*.log"))
    if not files:
        pytest.skip("no audit log: this cluster is not kubebox")
    done = set()
    for line in (line for file in files for line in file.read_text().splitlines()):
        entry = json.loads(line)
        thing = entry.get("objectRef")
        if entry["user"].get("username") != ACCOUNT or not thing or "resource" not in thing:
            continue
        resource = thing["resource"] + (f"/{thing['subresource']}" if thing.get("subresource") else "")
        done.add((thing.get("apiGroup", ""), resource, entry["verb"]))
    return done


def granted() -> set[tuple[str, str, str]]:
    return {(p.group, resource, verb) for p in PERMISSIONS for resource in p.resources for verb in p.verbs}


def test_nothing_was_asked_for_that_is_not_granted(cluster: Cluster, platform: str):
    over = {use for use in used() if use[0] not in OPTIONAL} - granted()
    assert over == set()


def test_everything_that_is_granted_is_used(cluster: Cluster, platform: str, request: pytest.FixtureRequest):
    told = {item.path.name for item in request.session.items}
    if missing := EVERYTHING - told:
        pytest.skip(
            f"what the operator does not do shows only when all is told: {', '.join(sorted(missing))} is not run"
        )
    idle = {
        grant
        for grant in granted() - used() - WITHOUT_A_REQUEST
        if grant[0] not in OPTIONAL and grant[1] not in ONLY_WHERE_THEY_ARE_ASKED_FOR
    }
    assert idle == set()
