"""A cluster, Helm and pods that behave, small enough for thousands of looks of the real worker.

Writes are seen by the watches at once. A run's pods end when a test says so; a predictor's pods are out when it says so.
"""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import kubernetes.client
from worlds import Object, helm_secret

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.cache import Cache
from shoploop.controller.cluster import Cluster, kind_of
from shoploop.controller.decide.kinds import BY_NAME, DEPLOYMENT, MODEL_VERSION, RECOMMENDER, SECRET, Kind
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


REFUSED = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "the server rejected our request due to an error in our request",
    "reason": "Invalid",
    "details": {},
    "code": 422,
}
"""What an API server answers to a JSON patch whose test does not hold: it says neither that there was a test, nor which."""


class SmallCluster(Cluster):
    """What the worker asks of an API server. JSON patches go through the real client, whose other end is here."""

    def __init__(self, cache: Cache, clock: Clock):
        self._api = self
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
        return super().set_status(live, status)

    def set_finalizer(self, live: Object, wanted: bool) -> Object:
        self.count()
        return super().set_finalizer(live, wanted)

    def call_api(self, path: str, method: str, *, body: list[Object], **rest: Any) -> SimpleNamespace:
        """A JSON patch, as the API server carries it out."""
        path, _, _ = path.partition("/status")
        found = [
            (kind, self.objects.get((kind.kind, path.rpartition("/")[2])))
            for kind in BY_NAME.values()
            if path.startswith(f"{kind.path(NAMESPACE)}/")
        ]
        assert method == "PATCH" and len(found) == 1
        kind, now = found[0]
        if now is None:
            raise _answer(404, {"message": "not found"})
        made = json.loads(json.dumps(now))
        for operation in body:
            *within, last = operation["path"].strip("/").split("/")
            where = made
            for part in within:
                where = where[part]
            if operation["op"] == "test" and where.get(last) != operation["value"]:
                raise _answer(422, REFUSED)
            if operation["op"] == "add":
                where[last] = operation["value"]
        if "deletionTimestamp" in made["metadata"] and not made["metadata"].get("finalizers"):
            self._gone(kind, made["metadata"]["name"])
        else:
            made = self._write(kind, made)
        return SimpleNamespace(data=json.dumps(made).encode())

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


def _answer(status: int, body: Object) -> kubernetes.client.ApiException:
    error = kubernetes.client.ApiException(status=status, reason="Refused")
    error.body = json.dumps(body)
    return error


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
