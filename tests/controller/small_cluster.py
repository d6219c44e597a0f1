"""A cluster, Helm and pods that behave, small enough for thousands of looks of the real worker.

Writes are seen by the watches at once. A run's pods end when a test says so; a predictor's pods are out when it says so.
"""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from worlds import Object, helm_secret

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.cache import Cache
from shoploop.controller.cluster import Stale, kind_of
from shoploop.controller.decide.kinds import BY_NAME, DEPLOYMENT, MODEL_VERSION, RECOMMENDER, SECRET, Kind
from shoploop.controller.decide.names import FINALIZER
from shoploop.controller.decide.observed import Install
from shoploop.controller.helm import secret_name

NAMESPACE = "shop"
HISTORY = 5


class Killed(Exception):
    """The operator was killed before a write."""


class Clock:
    """Stands still until it is moved; takes the place of ``datetime`` in the worker."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def now(self, zone: Any = UTC) -> datetime:
        return self.time.astimezone(zone)

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def written(self) -> str:
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")


class SmallCluster:
    """What the worker asks of an API server."""

    def __init__(self, cache: Cache, clock: Clock):
        self.cache, self.clock = cache, clock
        self.objects: dict[tuple[str, str], Object] = {}
        """By kind and name; there is one namespace."""

        self.pods_of_runs: list[Object] = []
        self.writes_until_killed: int | None = None
        self._numbers = count(1)

    # as the API server does it

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self.objects.get((kind.kind, name))

    def find(self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Object]:
        if "!shoploop.io/recommender" in labels:
            return []
        name = labels.rpartition("=")[2]
        return [
            live
            for (known, _), live in self.objects.items()
            if known == kind.kind and live["metadata"].get("labels", {}).get("shoploop.io/recommender") == name
        ]

    def apply(self, wanted: Object, kind: Kind | None = None) -> Object:
        self.count()
        kind = kind or kind_of(wanted)
        before = self.objects.get((kind.kind, wanted["metadata"]["name"]))
        born = {"uid": f"uid-{next(self._numbers)}", "creationTimestamp": self.clock.written(), "generation": 0}
        known = {key: before["metadata"][key] for key in born} if before else born
        changed = before is None or any(before.get(part) != wanted.get(part) for part in ("spec", "data"))
        meta = known | wanted["metadata"] | {"generation": known["generation"] + changed}
        made = {**wanted, "metadata": meta}
        if kind is MODEL_VERSION or kind is RECOMMENDER:  # a status has its own door
            made.pop("status", None)
        if before and "status" in before:
            made["status"] = before["status"]
        return self._write(kind, made)

    def set_status(self, live: Object, status: Object) -> Object:
        self.count()
        return self._write(kind_of(live), {**self._same(live), "status": json.loads(json.dumps(status))})

    def set_finalizer(self, live: Object, wanted: bool) -> Object:
        self.count()
        now = self._same(live)
        made = {**now, "metadata": now["metadata"] | {"finalizers": [FINALIZER] if wanted else []}}
        if not wanted and "deletionTimestamp" in now["metadata"]:
            self._gone(kind_of(live), live["metadata"]["name"])
            return made
        return self._write(kind_of(live), made)

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        live = self.objects.get((kind.kind, name))
        if live is None:
            return
        self.count()
        if live["metadata"].get("finalizers"):
            self._write(kind, {**live, "metadata": live["metadata"] | {"deletionTimestamp": self.clock.written()}})
        else:
            self._gone(kind, name)

    def secret_keys(self, namespace: str, name: str) -> frozenset[str] | None:
        return None

    def pods(self, namespace: str, labels: str) -> list[Object]:
        return list(self.pods_of_runs)

    def pod_failures(self, namespace: str, job: Object) -> str | None:
        return None

    def tell(self, about: Object, **event: str) -> None:
        pass

    def _same(self, live: Object) -> Object:
        now = self.objects.get((live["kind"], live["metadata"]["name"]))
        if now is None or now["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise Stale(live["kind"], 409, "it was changed")
        return now

    def _write(self, kind: Kind, made: Object) -> Object:
        made["metadata"] = made["metadata"] | {"namespace": NAMESPACE, "resourceVersion": str(next(self._numbers))}
        self.objects[kind.kind, made["metadata"]["name"]] = made
        self.cache.put(kind, made)
        return made

    def _gone(self, kind: Kind, name: str) -> None:
        owner = self.objects.pop((kind.kind, name))
        self.cache.remove(kind, NAMESPACE, name)
        for (other, child), live in list(self.objects.items()):
            references = live["metadata"].get("ownerReferences", [])
            if any(reference["uid"] == owner["metadata"]["uid"] for reference in references):
                self._gone(BY_NAME[live["apiVersion"], other], child)

    def count(self) -> None:
        """One write of the operator."""
        if self.writes_until_killed is not None:
            self.writes_until_killed -= 1
            if self.writes_until_killed < 0:
                raise Killed

    # as people do it

    def create(self, name: str, **spec: Any) -> None:
        whole = {"data": {"dataset": "completejourney"}, "store": {"uri": f"s3://shop/{name}"}} | spec
        filled = RecommenderSpec.model_validate(whole).model_dump(mode="json", by_alias=True, exclude_none=True)
        self.apply(
            {"apiVersion": "shoploop.io/v1alpha1", "kind": "Recommender", "metadata": {"name": name}, "spec": filled}
        )

    def change(self, name: str, change: Any, **annotations: str) -> None:
        """Edits the spec by ``change`` and adds annotations."""
        live = json.loads(json.dumps(self.objects["Recommender", name]))
        change(live["spec"])
        live["metadata"].setdefault("annotations", {}).update(annotations)
        self.apply(live)

    # as kubelet and the controllers do it

    def end_run(self, words: str) -> None:
        """Every Job that goes on is done, and the last pod of it says ``words``."""
        for (kind, _), live in list(self.objects.items()):
            if kind == "Job" and "status" not in live:
                done = {"conditions": [{"type": "Complete", "status": "True"}]}
                ended = {"terminated": {"exitCode": 0, "message": words}}
                owner = {"uid": live["metadata"]["uid"]}
                self.pods_of_runs.append(
                    {
                        "metadata": {"name": "pod", "ownerReferences": [owner]},
                        "status": {"phase": "Succeeded", "containerStatuses": [{"name": "steps", "state": ended}]},
                    }
                )
                self._write(BY_NAME["batch/v1", "Job"], {**live, "status": done})

    def roll_out(self) -> None:
        """The pods of every Deployment are as it asks."""
        for (kind, _), live in list(self.objects.items()):
            if kind == "Deployment":
                wanted = live["spec"]["replicas"]
                status = {
                    "observedGeneration": live["metadata"]["generation"], "replicas": wanted,
                    "updatedReplicas": wanted, "readyReplicas": wanted,
                }  # fmt: skip
                if live.get("status") != status:
                    self._write(DEPLOYMENT, {**live, "status": status})


class SmallHelm:
    """Helm with its Secrets and one Deployment that runs what the values name."""

    def __init__(self, cluster: SmallCluster):
        self.cluster = cluster
        self.installed: list[str] = []
        """Versions, as the operator released them."""

    def install(self, namespace: str, action: Install) -> None:
        self.installed.append(action.values["version"]["id"])
        self._revision(action.name, json.loads(json.dumps(action.values)), action.description)

    def uninstall(self, namespace: str, name: str) -> None:
        for kind, known in list(self.cluster.objects):
            if (kind == "Secret" and known.startswith(f"sh.helm.release.v1.{name}.")) or known == f"{name}-predictor":
                self.cluster._gone(SECRET if kind == "Secret" else DEPLOYMENT, known)

    def roll_back(self, name: str) -> str | None:
        """What a person does by `helm rollback`; returns the version, None where there is nothing to go back to."""
        revisions = self.cluster.cache.releases((NAMESPACE, name))
        if len(revisions) < 2:
            return None
        old = self.cluster.objects["Secret", secret_name(name, revisions[-2].revision)]
        self._revision(name, old["values"], f"Rollback to {revisions[-2].revision}")
        return str(old["values"]["version"]["id"])

    def _revision(self, name: str, values: Object, description: str) -> None:
        revisions = [release.revision for release in self.cluster.cache.releases((NAMESPACE, name))]
        number = max(revisions, default=0) + 1
        labels = {"version": values["version"]["id"], "digest": values["version"]["digest"]}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": f"{name}-predictor", "namespace": NAMESPACE, "labels": {"shoploop.io/recommender": name},
            },
            "spec": {"replicas": values["replicas"], "template": {"metadata": {"labels": labels}}},
        }  # fmt: skip
        managed = {"app.kubernetes.io/managed-by": "Helm"}
        notes = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": NAMESPACE}
        meta = deployment["metadata"]
        live = {**deployment, "metadata": meta | {"labels": meta["labels"] | managed, "annotations": notes}}
        self.cluster.apply(live)
        secret = helm_secret(
            {
                "name": name, "version": number, "manifest": json.dumps(deployment), "config": values,
                "info": {"status": "deployed", "description": description,
                         "last_deployed": self.cluster.clock.written()},
                "chart": {"metadata": {"name": "recommender"}},
            }
        )  # fmt: skip
        secret["metadata"] |= {
            "name": secret_name(name, number), "namespace": NAMESPACE, "uid": f"helm-{name}-{number}",
            "labels": {"owner": "helm", "shoploop.io/recommender": name},
        }  # fmt: skip
        self.cluster.count()
        self.cluster._write(SECRET, secret | {"apiVersion": "v1", "kind": "Secret", "values": values})
        for revision in sorted(revisions)[: -(HISTORY - 1)]:
            self.cluster._gone(SECRET, secret_name(name, revision))
