"""The API server of the cluster that this pod is in, as far as a task needs it: apply, get, delete, with its own token.

It must not know what is asked for.
"""

import os
import ssl
from pathlib import Path
from typing import Any

import httpx

from shoploop.errors import ShoploopError
from shoploop.runs.train_job import GROUP, VERSION

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its namespace, its token and whom to trust."""

FIELD_MANAGER = "shoploop-kubeflow"
TIMEOUT_SECONDS = 30.0
MESSAGE_LENGTH = 600
PASSES = (429, 500, 502, 503, 504)
"""Statuses after which asking again may help; 500 is what a webhook that is not there yet comes to."""


class ApiUnreachable(ShoploopError):
    """It does not answer now, or asks to be asked again."""


class ApiRefused(ShoploopError):
    """It has answered, and does not do it."""

    def __init__(self, what: str, status: int, message: str):
        """
        Args:
            what: Kind and name of the object.
            status: Of HTTP.
        """
        super().__init__(message)
        self.what, self.status = what, status


class NotInCluster(ShoploopError):
    """This process is in no pod, or its pod has no token."""

    exit_code = 2


class ApiServer:
    """Objects of one group in one namespace."""

    def __init__(
        self,
        url: str,
        namespace: str,
        *,
        token_file: Path | None = None,
        authority: Path | None = None,
        transport: httpx.BaseTransport | None = None,
    ):
        """
        Args:
            url: Of the API server.
            token_file: Read for every question: such a token is replaced within the hour.
            authority: Certificates in PEM that are trusted.
            transport: In the place of the network.
        """
        self.namespace, self._token_file = namespace, token_file
        trust: ssl.SSLContext | bool = ssl.create_default_context(cafile=str(authority)) if authority else True
        self._base = f"{url}/apis/{GROUP}/{VERSION}/namespaces/{namespace}"
        # a proxy of the environment leads out of the cluster
        self._http = httpx.Client(verify=trust, transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False)

    @classmethod
    def of_this_pod(cls) -> "ApiServer":
        """
        Raises:
            NotInCluster: this is no pod, or one without a token.
        """
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        token = ACCOUNT / "token"
        if not host or not token.exists():
            raise NotInCluster(
                "spec.training.nodes is above 1, and this process has no service account's token to ask a cluster for "
                "machines. Let the pods of the run mount one, or set spec.training.nodes to 1."
            )
        host = f"[{host}]" if ":" in host else host
        namespace = (ACCOUNT / "namespace").read_text().strip()
        return cls(f"https://{host}:{port}", namespace, token_file=token, authority=ACCOUNT / "ca.crt")

    def apply(self, made: dict[str, Any], plural: str) -> None:
        """Makes the object, or makes it what it should be.

        Raises:
            ApiRefused, ApiUnreachable: it was not done.
        """
        name = made["metadata"]["name"]
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        self._ask("PATCH", plural, name, query=query, body=made)

    def get(self, plural: str, name: str) -> dict[str, Any] | None:
        """The object; None where there is none."""
        try:
            return self._ask("GET", plural, name)
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise

    def delete(self, plural: str, name: str) -> None:
        """Removes the object, and then what belongs to it; one that is not there is removed."""
        try:
            self._ask("DELETE", plural, name, query={"propagationPolicy": "Background"})
        except ApiRefused as error:
            if error.status != 404:
                raise

    def _ask(
        self, method: str, plural: str, name: str, *, query: dict[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        headers = {"accept": "application/json"}
        if self._token_file:
            headers["authorization"] = f"Bearer {self._token_file.read_text().strip()}"
        if body is not None:
            headers["content-type"] = "application/apply-patch+yaml"
        what = f"{plural}.{GROUP}/{name}"
        try:
            answer = self._http.request(
                method, f"{self._base}/{plural}/{name}", params=query, json=body, headers=headers
            )
        except httpx.TransportError as error:
            raise ApiUnreachable(f"The API server does not answer about {what} ({type(error).__name__}).") from error
        try:
            document: dict[str, Any] = answer.json()
        except ValueError:
            document = {}
        if answer.is_success:
            return document
        message = str(document.get("message") or answer.reason_phrase)[:MESSAGE_LENGTH]
        if answer.status_code in PASSES:
            raise ApiUnreachable(f"The API server does not do it for {what} now, and is asked again: {message}")
        raise ApiRefused(what, answer.status_code, message)
