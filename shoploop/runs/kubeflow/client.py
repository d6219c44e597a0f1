"""The v2beta1 REST API of Kubeflow Pipelines, as far as runs need it, without the package kfp, whose pins an operator must
not carry.

What may be asked twice is asked again where the world may mend itself, until a deadline; what may have been done by a
question whose answer got lost is never done twice behind the caller's back: its error says ``perhaps_done``.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from shoploop.errors import KeyUnusable, SpecInvalid
from shoploop.runs.kubeflow.answers import (
    Experiment,
    Experiments,
    Health,
    KubeflowRun,
    Nothing,
    Pipeline,
    PipelineVersion,
    RecurringRun,
    RecurringRuns,
    Runs,
    Versions,
)
from shoploop.runs.kubeflow.errors import (
    KubeflowBusy,
    KubeflowConflict,
    KubeflowError,
    KubeflowFailed,
    KubeflowForbidden,
    KubeflowLogin,
    KubeflowMissing,
    KubeflowRefused,
    KubeflowUnreachable,
    KubeflowUnreadable,
)

PREFIX = "/apis/v2beta1"
DEADLINE_SECONDS = 60.0
"""For one question and all its repetitions."""

ATTEMPT_SECONDS = 20.0
"""For one attempt; an upload of a pipeline takes a second."""

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 8.0
PAGE_SIZE = 50
MESSAGE_LENGTH = 600
"""Of a server's own words, which repeat themselves."""

NOT_BEGUN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Nobody was asked, so nothing was done."""

Answer = TypeVar("Answer", bound=BaseModel)


class KubeflowClient:
    """One server."""

    def __init__(
        self,
        endpoint: str,
        *,
        token_file: Path | None = None,
        authority: Path | None = None,
        beside: Path | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        """
        Args:
            endpoint: Address of the API server, or of a proxy that hands ``/apis/`` on to it.
            token_file: Holds the bearer token, e.g. of a projected service account; it is read for every question, because
                such a token is replaced within the hour.
            authority: Certificates in PEM that are trusted in the place of the system's.
            beside: Certificates in PEM that are trusted beside those that everybody trusts, whatever SSL_CERT_FILE says.
            transport: In the place of the network.

        Raises:
            SpecInvalid: the endpoint is no http address.
            KeyUnusable: the certificates cannot be read.
        """
        self.endpoint = _address(endpoint)
        self.token_file, self.deadline_seconds = token_file, deadline_seconds
        self._clock, self._sleep = clock, sleep
        self._http = httpx.Client(
            verify=_trust(authority, beside), transport=transport, headers={"accept": "application/json"}
        )

    def close(self) -> None:
        self._http.close()

    def health(self) -> Health:
        return self._ask(Health, "GET", "/healthz")

    def pipeline_named(self, name: str, namespace: str = "") -> Pipeline | None:
        try:
            return self._ask(Pipeline, "GET", f"/pipelines/names/{_part(name)}", query=_given(namespace=namespace))
        except KubeflowMissing:
            return None

    def upload_pipeline(self, name: str, compiled: str, *, description: str = "", namespace: str = "") -> Pipeline:
        """A pipeline; its first version comes with it, and has its name.

        Raises:
            KubeflowConflict: there is one of that name.
        """
        query = {"name": name, **_given(description=description, namespace=namespace)}
        return self._ask(Pipeline, "POST", "/pipelines/upload", query=query, file=compiled, again=False)

    def upload_version(self, pipeline: str, name: str, compiled: str, *, description: str = "") -> PipelineVersion:
        """
        Raises:
            KubeflowConflict: there is one of that name.
        """
        query = {"name": name, "pipelineid": pipeline, **_given(description=description)}
        return self._ask(PipelineVersion, "POST", "/pipelines/upload_version", query=query, file=compiled, again=False)

    def versions(self, pipeline: str) -> Iterator[PipelineVersion]:
        """Newest first."""
        for page in self._pages(Versions, f"/pipelines/{_part(pipeline)}/versions", {"sort_by": "created_at desc"}):
            yield from page.pipeline_versions

    def experiment_named(self, name: str, namespace: str = "") -> Experiment | None:
        predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
        query = {"filter": json.dumps({"predicates": [predicate]}), **_given(namespace=namespace)}
        found = self._ask(Experiments, "GET", "/experiments", query=query)
        return next((one for one in found.experiments if one.display_name == name), None)

    def create_experiment(self, name: str, namespace: str = "") -> Experiment:
        """
        Raises:
            KubeflowConflict: there is one of that name.
        """
        body = {"display_name": name, **_given(namespace=namespace)}
        return self._ask(Experiment, "POST", "/experiments", body=body, again=False)

    def create_run(self, body: Mapping[str, Any]) -> KubeflowRun:
        """
        Raises:
            KubeflowRefused: a parameter is unknown or of a wrong type.
            KubeflowFailed: among others, there is no such version.
        """
        return self._ask(KubeflowRun, "POST", "/runs", body=body, again=False)

    def run(self, run: str) -> KubeflowRun:
        """
        Raises:
            KubeflowMissing: there is none, or somebody has deleted it.
        """
        return self._ask(KubeflowRun, "GET", f"/runs/{_part(run)}")

    def runs(self, experiment: str) -> Iterator[KubeflowRun]:
        """Newest first."""
        for page in self._pages(Runs, "/runs", {"experiment_id": experiment, "sort_by": "created_at desc"}):
            yield from page.runs

    def terminate(self, run: str) -> None:
        """It ends as FAILED: who asks has to remember that it asked."""
        self._ask(Nothing, "POST", f"/runs/{_part(run)}:terminate")

    def retry(self, run: str) -> None:
        """Begins again with what has failed; what is done stays done."""
        self._ask(Nothing, "POST", f"/runs/{_part(run)}:retry", again=False)

    def archive(self, run: str) -> None:
        self._ask(Nothing, "POST", f"/runs/{_part(run)}:archive")

    def delete_run(self, run: str) -> None:
        self._ask(Nothing, "DELETE", f"/runs/{_part(run)}")

    def create_recurring(self, body: Mapping[str, Any]) -> RecurringRun:
        return self._ask(RecurringRun, "POST", "/recurringruns", body=body, again=False)

    def recurring(self, recurring: str) -> RecurringRun:
        return self._ask(RecurringRun, "GET", f"/recurringruns/{_part(recurring)}")

    def recurrings(self, experiment: str) -> Iterator[RecurringRun]:
        """Of an experiment, newest first."""
        query = {"experiment_id": experiment, "sort_by": "created_at desc"}
        for page in self._pages(RecurringRuns, "/recurringruns", query):
            yield from page.recurringRuns

    def enable(self, recurring: str) -> None:
        self._ask(Nothing, "POST", f"/recurringruns/{_part(recurring)}:enable")

    def disable(self, recurring: str) -> None:
        self._ask(Nothing, "POST", f"/recurringruns/{_part(recurring)}:disable")

    def delete_recurring(self, recurring: str) -> None:
        self._ask(Nothing, "DELETE", f"/recurringruns/{_part(recurring)}")

    def _pages(self, kind: type[Answer], path: str, query: Mapping[str, str]) -> Iterator[Answer]:
        token = ""
        while True:
            page = self._ask(
                kind, "GET", path, query={**query, "page_size": str(PAGE_SIZE), **_given(page_token=token)}
            )
            yield page
            before, token = token, getattr(page, "next_page_token", "")
            if not token or token == before:
                return

    def _ask(
        self,
        kind: type[Answer],
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        file: str | None = None,
        again: bool = True,
    ) -> Answer:
        """The answer to one question, asked as often as helps and does no harm.

        Args:
            again: Whether to do it twice is as good as once.
        """
        until, wait = self._clock() + self.deadline_seconds, FIRST_WAIT_SECONDS
        while True:
            try:
                left = until - self._clock()
                answer = self._once(method, path, query=query, body=body, file=file, seconds=min(left, ATTEMPT_SECONDS))
                return self._read(kind, answer, method=method, path=path)
            except KubeflowError as error:
                pause = max(wait, error.after_seconds)
                harmful = error.perhaps_done and not again
                if not error.passes or harmful or self._clock() + pause >= until:
                    raise
            self._sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        file: str | None,
        seconds: float,
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._token()}"} if self.token_file else {}
        files = {"uploadfile": ("pipeline.yaml", file.encode(), "application/x-yaml")} if file is not None else None
        try:
            return self._http.request(
                method,
                f"{self.endpoint}{PREFIX}{path}",
                params=dict(query or {}),
                json=dict(body) if body is not None else None,
                files=files,
                headers=headers,
                timeout=max(seconds, 0.1),
            )
        except httpx.TransportError as error:
            raise self._no_answer(error, method) from error
        except httpx.DecodingError as error:
            raise self._half(method) from error

    def _no_answer(self, error: httpx.TransportError, method: str) -> KubeflowError:
        asked = method != "GET" and not isinstance(error, NOT_BEGUN)
        if isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return KubeflowRefused(
                f"The certificate of {self.endpoint} is of no authority that is trusted here: {error}. Name the file with "
                "its authority's certificates by --ca-file; where the operator asks, put them into the Secret that "
                "spec.store.caRef names, beside those of the store's authority."
            )
        if isinstance(error, httpx.RemoteProtocolError):
            return self._half(method)
        what = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
        detail = f": {error}" if str(error) else ""
        return KubeflowUnreachable(
            f"Kubeflow Pipelines at {self.endpoint} {what}{detail}. Check the address, and that this machine reaches it; "
            "from outside a cluster `kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888` leads to it.",
            perhaps_done=asked,
        )

    def _half(self, method: str) -> KubeflowError:
        return KubeflowUnreadable(
            f"The answer of {self.endpoint} broke off in the middle. Ask again; if that stays so, look at what stands "
            "between here and the server.",
            perhaps_done=method != "GET",
            passes=True,
        )

    def _read(self, kind: type[Answer], answer: httpx.Response, *, method: str, path: str) -> Answer:
        if not answer.is_success:
            raise self._named(answer, method, path)
        if "html" in answer.headers.get("content-type", "") or answer.content.lstrip()[:1] == b"<":
            raise KubeflowUnreadable(
                f"{self.endpoint} answers with a page for people, not with data: it is no Kubeflow Pipelines API, or a login "
                "stands before it. Name the API server's own address, or hand over a token by --token-file.",
                perhaps_done=method != "GET",
            )
        try:
            return kind.model_validate_json(answer.content or b"{}")
        except ValidationError as error:
            if any(problem["type"] == "json_invalid" for problem in error.errors(include_url=False)):
                raise self._half(method) from error
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise KubeflowUnreadable(
                f"{method} {path} at {self.endpoint} was answered with other fields than Kubeflow Pipelines 2 has "
                f"({place}: {first['msg']}). Is it of another version?",
                perhaps_done=method != "GET",
            ) from error

    def _named(self, answer: httpx.Response, method: str, path: str) -> KubeflowError:
        status, said = answer.status_code, _words(answer)
        what, reads = f"{method} {path.partition('?')[0]}", method == "GET"
        match status:
            case 401:
                return KubeflowLogin(
                    f"Kubeflow Pipelines at {self.endpoint} does not know who asks (401{said}). Hand over a token by "
                    "--token-file; one that has expired is replaced by a fresh one."
                )
            case _ if answer.is_redirect:
                return KubeflowLogin(
                    f"{self.endpoint} sends {what} on to {answer.headers.get('location', 'another place')[:200]}, as to a "
                    "login. Hand over a token by --token-file, or name the API server's own address."
                )
            case 403:
                return KubeflowForbidden(
                    f"Kubeflow Pipelines at {self.endpoint} does not let this account do {what} (403{said}). Ask for a role "
                    "in the namespace, or name another by --namespace."
                )
            case 404:
                return KubeflowMissing(
                    f"Kubeflow Pipelines at {self.endpoint} has nothing at {what} (404{said}). It was deleted, or the "
                    "address leads elsewhere."
                )
            case 409:
                return KubeflowConflict(f"Kubeflow Pipelines at {self.endpoint} has one of that name (409{said}).")
            case 429 | 502 | 503 | 504:
                return KubeflowBusy(
                    f"Kubeflow Pipelines at {self.endpoint} has no time for {what} ({status}{said}). Try again later.",
                    perhaps_done=not reads and status in (502, 504),
                    after_seconds=_after(answer),
                )
            case 500 | 501 | 505:
                failed = KubeflowFailed(
                    f"Kubeflow Pipelines at {self.endpoint} failed at {what} ({status}{said}). What it was asked for may be "
                    "wrong, such as a version or an experiment that somebody has deleted: submitting again makes them anew. "
                    "Otherwise look at the log of ml-pipeline.",
                    perhaps_done=False,
                )
                failed.passes = reads
                return failed
        return KubeflowRefused(f"Kubeflow Pipelines at {self.endpoint} refuses {what} ({status}{said}).")

    def _token(self) -> str:
        assert self.token_file is not None
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise KeyUnusable(f"The token file {self.token_file} cannot be read: {why}. Name another.") from error
        if not token or any(not letter.isprintable() or letter.isspace() for letter in token):
            raise KeyUnusable(
                f"The token file {self.token_file} holds no token: one line without spaces. Name another."
            )
        return token


def _address(endpoint: str) -> str:
    try:
        split = urlsplit(endpoint)
        right = split.scheme in ("http", "https") and bool(split.hostname) and (split.port is None or split.port > 0)
    except ValueError:
        right = False
    if not right or split.query or split.fragment or split.username:
        raise SpecInvalid(
            f"{endpoint!r} is no address of Kubeflow Pipelines. Write http://HOST:PORT or https://HOST/PATH, e.g. "
            "http://ml-pipeline.kubeflow:8888; a token goes into a file."
        )
    return endpoint.rstrip("/")


def _trust(authority: Path | None, beside: Path | None) -> ssl.SSLContext | bool:
    file = authority or beside
    if file is None:
        return True
    try:
        if authority:
            return ssl.create_default_context(cafile=str(authority))
        trust = httpx.create_ssl_context(trust_env=False)
        trust.load_verify_locations(cafile=str(file))
        return trust
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or error
        raise KeyUnusable(f"{file} cannot be read as certificates in PEM: {why}. Name another.") from error


def _words(answer: httpx.Response) -> str:
    """What the server said of an error: two shapes of JSON, or a page, of which nothing is repeated."""
    try:
        document = answer.json()
        said = str(document.get("message") or document.get("error_message") or "")
    except (ValueError, AttributeError):
        said = ""
    said = " ".join(said.split())
    return f": {said[:MESSAGE_LENGTH]}" if said else ""


def _after(answer: httpx.Response) -> float:
    try:
        return min(max(float(answer.headers.get("retry-after", "0")), 0.0), 3600.0)
    except ValueError:  # a date; our own pauses do
        return 0.0


def _part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _given(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
