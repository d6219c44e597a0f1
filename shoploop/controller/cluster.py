"""The only input and output to the API server.

Objects are plain dicts. Writes are server-side applies under one field manager, or JSON patches that hold only for the
version that was read.
"""

import json
from typing import Any

import kubernetes.client
import kubernetes.config

from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.kinds import BY_NAME, EVENT, POD, SECRET, Kind
from shoploop.controller.decide.names import FIELD_MANAGER, FINALIZER, Object
from shoploop.controller.decide.train_jobs import TRAIN_JOB, child_job_name
from shoploop.errors import ShoploopError

TIMEOUT_SECONDS = 30

TEST_FAILED = "the server rejected our request due to an error in our request"
"""All that an API server says, with 422, of a JSON patch that cannot be carried out. The operator's patches only add to what
is always there, so it is the test of the resource version that did not hold."""


class ClusterError(ShoploopError):
    """The API server refused, or did not answer."""

    def __init__(self, what: str, status: int, detail: str):
        super().__init__(f"{what}: {detail}")
        self.what = what
        self.status = status
        """HTTP status; 0 where there was no answer."""

        self.detail = detail

    @property
    def found(self) -> Found:
        """The reason that the refusal amounts to."""
        if "exceeded quota" in self.detail:
            return say("QuotaExceeded", detail=self.detail)
        if self.status == 403:
            return say("Forbidden", detail=self.detail)
        return say("ApplyFailed", object=self.what, detail=self.detail)


class TrainerError(ClusterError):
    """Of something that the Kubeflow Trainer is asked for."""

    @property
    def found(self) -> Found:
        if self.status == 404:
            return say("TrainerMissing", object=self.what)
        if "failed calling webhook" in self.detail:
            return say("TrainerUnready", object=self.what, detail=self.detail)
        if self.status in (400, 422) or "admission webhook" in self.detail:
            return say("TrainJobRefused", object=self.what, detail=self.detail)
        return super().found


class Stale(ClusterError):
    """Somebody changed the object since it was read: read again, decide again."""


def login() -> None:
    """Takes the pod's service account, or the kubeconfig where there is no pod.

    Raises:
        ClusterError: neither is there.
    """
    try:
        kubernetes.config.load_incluster_config()
    except kubernetes.config.ConfigException:
        try:
            kubernetes.config.load_kube_config()
        except kubernetes.config.ConfigException as error:
            raise ClusterError("The cluster", 0, f"{error}. Run in a pod, or set KUBECONFIG.") from error


class Cluster:
    """A client of one API server; safe to use from several threads."""

    def __init__(self, connections: int = 16):
        configuration = kubernetes.client.Configuration.get_default_copy()
        configuration.connection_pool_maxsize = connections
        self._api = kubernetes.client.ApiClient(configuration)

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            return self._call("GET", kind.path(namespace, name), f"{kind.kind} {name}")
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def find(self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Object]:
        query = [("labelSelector", labels)] * bool(labels) + [("fieldSelector", fields)] * bool(fields)
        found = self._call("GET", kind.path(namespace), f"the {kind.plural}", query=query)
        items: list[Object] = found["items"] or []
        for item in items:  # a list leaves out what it says once
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
        return items

    def versions(self, kind: Kind, namespace: str | None, *, labels: str = "") -> dict[tuple[str, str], str]:
        """Namespace and name of all objects, with their resource versions, and nothing else of them."""
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        query = [("labelSelector", labels)] * bool(labels)
        found = self._call("GET", kind.path(namespace), f"the {kind.plural}", query=query, accept=accept)
        metas = [item["metadata"] for item in found["items"] or []]
        return {(meta["namespace"], meta["name"]): meta["resourceVersion"] for meta in metas}

    def apply(self, wanted: Object, kind: Kind | None = None) -> Object:
        """Server-side apply: fields that are named become ours, fields that we no longer name are let go."""
        kind, meta = kind or kind_of(wanted), wanted["metadata"]
        return self._call(
            "PATCH",
            kind.path(meta.get("namespace"), meta["name"]),
            f"{kind.kind} {meta['name']}",
            query=[("fieldManager", FIELD_MANAGER), ("force", "true")],
            body=wanted,
            content="application/apply-patch+yaml",
        )

    def set_status(self, live: Object, status: dict[str, Any]) -> Object:
        """Replaces the status of the very object that was read.

        Raises:
            Stale: somebody changed it meanwhile.
        """
        return self._patch(live, [{"op": "add", "path": "/status", "value": status}], subresource="/status")

    def set_finalizer(self, live: Object, wanted: bool) -> Object:
        """Adds or removes the operator's finalizer of the very object that was read.

        Raises:
            Stale: somebody changed it meanwhile.
        """
        others = [name for name in live["metadata"].get("finalizers", []) if name != FINALIZER]
        finalizers = [*others, FINALIZER] if wanted else others
        return self._patch(live, [{"op": "add", "path": "/metadata/finalizers", "value": finalizers}])

    def _patch(self, live: Object, operations: list[Object], subresource: str = "") -> Object:
        kind, meta = kind_of(live), live["metadata"]
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]}
        what = f"{kind.kind} {meta['name']}"
        try:
            return self._call(
                "PATCH",
                kind.path(meta["namespace"], meta["name"]) + subresource,
                what,
                query=[("fieldManager", FIELD_MANAGER)],
                body=[test, *operations],
                content="application/json-patch+json",
            )
        except ClusterError as error:
            if error.status in (404, 409) or (error.status == 422 and error.detail == TEST_FAILED):
                raise Stale(what, error.status, error.detail) from error
            raise

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Deletes one object, its dependents after it; one that is not there is no error."""
        try:
            self._call(
                "DELETE", kind.path(namespace, name), f"{kind.kind} {name}", body={"propagationPolicy": "Background"}
            )
        except ClusterError as error:
            if error.status != 404:
                raise

    def secret_keys(self, namespace: str, name: str) -> frozenset[str] | None:
        """Keys of a Secret that hold something; None where there is no such Secret."""
        secret = self.get(SECRET, namespace, name)
        return None if secret is None else frozenset(key for key, value in (secret.get("data") or {}).items() if value)

    def pods(self, namespace: str, labels: str) -> list[Object]:
        return self.find(POD, namespace, labels=labels)

    def pod_failures(self, namespace: str, job: Object) -> str | None:
        """Why a Job's controller could make no pod, as its newest event says; of a TrainJob the Job within."""
        about = f"involvedObject.uid={job['metadata']['uid']}"
        if job["kind"] == TRAIN_JOB.kind:
            about = f"involvedObject.kind=Job,involvedObject.name={child_job_name(job)}"
        fields = f"{about},reason=FailedCreate"
        events = self.find(EVENT, namespace, fields=fields)
        events.sort(key=lambda event: str(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]))
        return str(events[-1].get("message", ""))[:300] if events else None

    def log_end(self, namespace: str, pod: str, lines: int) -> str | None:
        """The last lines that a pod has written; None where it has no log, or no longer."""
        path, query = f"{POD.path(namespace, pod)}/log", [("tailLines", str(lines))]
        try:
            return self._bytes("GET", path, f"the log of pod {pod}", query=query, accept="*/*").decode(errors="replace")
        except ClusterError:
            return None

    def tell(self, about: Object, *, type_: str, reason: str, message: str, name: str, now: str) -> None:
        """Writes an event about an object."""
        meta = about["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
            "type": type_,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "shoploop"},
        }
        self._call("POST", EVENT.path(meta["namespace"]), "an event", body=event)

    def text(self, path: str) -> str:
        """What the API server answers to a plain GET, e.g. of its own /metrics."""
        return self._bytes("GET", path, path, accept="text/plain").decode()

    def _call(self, method: str, path: str, what: str, **rest: Any) -> Object:
        answer: Object = json.loads(self._bytes(method, path, what, **rest))
        return answer

    def _bytes(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        try:
            response = self._api.call_api(
                path,
                method,
                query_params=query or [],
                header_params={"Accept": accept, "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=TIMEOUT_SECONDS,
            )
            return bytes(response.data)
        except kubernetes.client.ApiException as error:
            of_trainer = f"/apis/{TRAIN_JOB.group}/" in path
            raise (TrainerError if of_trainer else ClusterError)(
                what, int(error.status or 0), _message(error)
            ) from error
        except Exception as error:  # urllib3's many ways to say that nobody answered
            raise ClusterError(what, 0, f"the API server did not answer ({type(error).__name__}).") from error


def kind_of(thing: Object) -> Kind:
    return BY_NAME[(thing["apiVersion"], thing["kind"])]


def _message(error: kubernetes.client.ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason or error.body or "refused")
