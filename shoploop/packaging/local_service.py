"""Starts the service of a stored version as a process, and ends it cleanly; :mod:`local_setup` says what it is started with.

What is started is the Bento that ``build_bento`` wrote, fetched from the store and verified; it must not use the
code or the model of this checkout.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from shoploop.api.online import EventLogSpec
from shoploop.compute import lifetime
from shoploop.errors import PortInUse, ShoploopError
from shoploop.exits import ended_by_signals
from shoploop.hints import command
from shoploop.online.pointer import ENVIRONMENT as ONLINE_UPDATES
from shoploop.packaging.bento import fetch_bento, serve_command
from shoploop.packaging.learning import Learners, learners, level_version
from shoploop.packaging.lineups import LineupKeeper, kept
from shoploop.packaging.local_setup import (
    access_settings,
    cache_folder,
    environment,
    feedback_settings,
    serving_version,
    storefront_settings,
)
from shoploop.packaging.serving_code import code_of
from shoploop.packaging.unpacked import Held
from shoploop.predictor.access_settings import AdminSettings
from shoploop.predictor.feedback_settings import FeedbackSettings
from shoploop.predictor.lineup import ENVIRONMENT as LINEUP
from shoploop.predictor.storefront_settings import PATH as STOREFRONT_PATH
from shoploop.store import Store
from shoploop.versions import promotions
from shoploop.versions.signing import Trust

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import Request

    from shoploop.events.log import EventLog

START_SECONDS = 180
"""Feast and torch take long to import on a cold disk."""

STOP_SECONDS = 15


class ServiceFailed(ShoploopError):
    """The service ended, or never became ready."""


@dataclass(frozen=True, kw_only=True)
class RunningService:
    """A service that answers."""

    url: str
    version: str
    process: subprocess.Popen[bytes]
    events: FeedbackSettings | None = None
    """Where impressions and events go."""

    storefront: str | None = None
    """URL of the example shop."""

    admin_url: str | None = None
    """Where metrics and the like are, if not at ``url``."""


def serve(
    store: Store,
    name: str,
    *,
    port: int,
    version: str | None = None,
    host: str = "127.0.0.1",
    log: EventLogSpec | None = None,
    log_access: Path | None = None,
    out_of_stock: Path | None = None,
    online: bool = False,
    access: Path | None = None,
    admin_port: int | None = None,
) -> int:
    """Serves until Ctrl-C or SIGTERM.

    Args:
        store: Where the versions lie.
        name: Of the recommender.
        port: To listen on.
        version: Serves this one, whatever is promoted. Unset: the promoted one, and what is promoted later in its place.
        host: Address to listen on; 0.0.0.0 answers other machines too.
        log: Where impressions and events go. Unset: a SQLite file of this machine.
        log_access: Folder of what its server asks for; see :mod:`shoploop.events.access`.
        out_of_stock: File of the items that cannot be bought, an id a line; looked at again every second.
        online: Learn from what shoppers do, and serve what was learned.
        access: Folder of who may ask: ``NAME.key``, and ``tokens.json`` with ``jwks.json``; one that is not there is made,
            with a key. Unset: everybody who reaches the service.
        admin_port: Where metrics and the like are answered; ``port`` for where shoppers ask. Unset: the first free one after
            ``port``.

    Returns:
        The exit status: 0 after Ctrl-C or SIGTERM.

    Raises:
        NotFound: nothing is promoted, or no such version.
        PortInUse: something else listens on the port.
        ArtifactError: the stored Bento must not be run: it was altered, or is not signed as the environment asks.
        ServiceFailed: the service ended by itself.
    """
    from shoploop.events.opening import place_of

    try:
        with (
            ended_by_signals(),
            running(
                store,
                name,
                port=port,
                version=version,
                host=host,
                events=log or EventLogSpec(),
                events_access=log_access,
                out_of_stock=out_of_stock,
                online=online,
                access=access,
                admin_port=_free_after(port, host) if admin_port is None else admin_port,
                tell=lambda line: print(f"{name}: {line}", flush=True),
            ) as service,
        ):
            events = service.events
            assert events is not None
            with suppress(OSError):  # a terminal that is closed, or a reader who has gone
                print(f"{name} {service.version} answers on {service.url} (Ctrl-C ends it)", flush=True)
                admin = service.admin_url or service.url
                print(f"  to look at   {service.url}/  {admin}/docs.json  {admin}/metrics")
                if access is not None:
                    print(f"  who may ask  whoever has a key or token by {access}")
                print(
                    "  to ask       POST /recommend  /search  /shops  /rank  /explain: examples are on the first of these "
                    "pages"
                )
                if service.storefront:
                    print(f"  a shop       {service.storefront}")
                print(f"  events       {place_of(events.log, name=name, folder=events.folder)}", flush=True)
                if online:
                    print(f"  learning     {command(store, f'online status {name}')}")
                print(f"  keys         {events.keys} (server/: of a backend that posts events)", flush=True)
            status = service.process.wait()
    except KeyboardInterrupt:
        return 0
    raise ServiceFailed(f"The service of {name} {service.version} ended with exit status {status}; its log is above.")


@contextmanager
def running(
    store: Store,
    name: str,
    *,
    port: int,
    version: str | None = None,
    host: str = "127.0.0.1",
    log: IO[bytes] | None = None,
    events: EventLogSpec | None = None,
    events_access: Path | None = None,
    out_of_stock: Path | None = None,
    events_home: Path | None = None,
    online: bool = False,
    access: Path | None = None,
    admin_port: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[RunningService]:
    """The service of a version as a child process, ready to answer; ended when the block is left.

    Args:
        log: Where its output goes; to this process's own where not given.
        events: Where impressions and events go; nowhere where not given, and then there is no example shop either.
        events_access: As ``log_access`` of :func:`serve`.
        out_of_stock: As :func:`serve`.
        events_home: Where keys and a log in a file lie, for who must not add to the shop's own; the usual place where not
            given.
        access: As :func:`serve`.
        admin_port: As :func:`serve`; unset, it is ``port``.
        online: As :func:`serve`; it needs ``events``, in their usual place.
        tell: Is told which versions answer, whenever that changes. Without a ``version`` the service follows what is
            promoted; ``online``, once that has learned what the version before has learned.

    Raises:
        NotFound, PortInUse, ArtifactError, ServiceFailed: as :func:`serve`.
    """
    follows = version is None
    promoted = version or serving_version(store, name)
    check_port(port, host)
    apart = admin_port is not None and admin_port != port
    if admin_port is not None and apart:
        check_port(admin_port, host, option="--admin-port")
    asked = access_settings(access) if access is not None else None
    trust = Trust.configured()
    cache = cache_folder(store, trust)
    folder = fetch_bento(store, name, promoted, cache, trust)
    feedback = (
        feedback_settings(store, name, events, events_home, events_access) if events else None
    )  # keys are made for what is there only
    learning: Learners | None = None
    url = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0') else host}:{port}"
    shop = storefront_settings(feedback, port) if feedback else None
    own = environment(
        events=feedback,
        shop=shop,
        out_of_stock=out_of_stock,
        access=asked,
        admin=AdminSettings(port=admin_port, host=host) if admin_port is not None and apart else None,
    )
    with ExitStack() as stack:
        began = promoted
        if online and feedback:
            opened = stack.enter_context(_log_of(feedback))
            if follows and (level := _level_version(store, name, promoted, opened)) != promoted:
                other = fetch_bento(store, name, level, cache, trust)
                if code_of(other) == code_of(folder):  # else the promoted one could take its place by a restart only
                    began, folder = level, other
            learning = stack.enter_context(learners(store, name, feedback.log, access=feedback.access, end=opened.end))
            own[ONLINE_UPDATES] = str(learning.begin(began))
        held = stack.enter_context(Held(cache))
        held.only([folder])
        command = serve_command(folder, port, host=host)
        if follows:
            lineup = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoploop-lineup-")))
            keeper = LineupKeeper(
                store,
                name,
                lineup,
                version=began,
                bento=folder,
                cache=cache,
                trust=trust,
                learning=learning,
                prepare=lambda ranker: held.only([folder, ranker, *keeper.unpacked]),
                tell=tell,
            )
            own[LINEUP] = str(lineup)
        served = service_process(command, folder=folder, url=url, what=f"{name} {began}", own=own, log=log)
        process = stack.enter_context(served)
        if follows:
            stack.enter_context(kept(keeper))
        yield RunningService(
            url=url,
            version=began,
            process=process,
            events=feedback,
            storefront=f"{url}{STOREFRONT_PATH}/" if shop else None,
            admin_url=f"{url.rpartition(':')[0]}:{admin_port}" if apart else None,
        )


@contextmanager
def service_process(
    command: list[str], *, folder: Path, url: str, what: str, own: dict[str, str], log: IO[bytes] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A BentoML service as a child process, ready to answer; ended when the block is left, with all that it started.

    Args:
        command: That serves.
        folder: Where it runs.
        url: Where it will answer.
        what: It is, for errors.
        own: Variables of its environment beside this process's.
        log: Where its output goes; to this process's own where not given.

    Raises:
        ServiceFailed: it ended, or never became ready.
    """
    with tempfile.TemporaryDirectory(prefix="shoploop-serve-") as home:
        # BentoML keeps counters of live processes in its home: one home a service, which takes temporary files too
        bento = {"BENTOML_HOME": home, "TMPDIR": home, "BENTOML_DO_NOT_TRACK": "True", "PYTHONWARNINGS": "ignore"}
        process = subprocess.Popen(
            [sys.executable, "-P", lifetime.__file__, home, *command],
            cwd=folder,
            env=os.environ | bento | own | lifetime.named_starter(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the service in order
        )
        try:
            _wait_until_ready(process, url, what)
            yield process
        finally:
            lifetime.end(process, seconds=STOP_SECONDS)  # workers finish the requests that they have


def _log_of(feedback: FeedbackSettings) -> "EventLog":
    """The log that predictors write; it may be away."""
    from shoploop.events.awaited import AwaitedLog
    from shoploop.events.opening import open_log

    return AwaitedLog(
        lambda: open_log(feedback.log, name=feedback.recommender, folder=feedback.folder, access=feedback.access)
    )


def _level_version(store: Store, name: str, promoted: str, log: "EventLog") -> str:
    """Who may answer at once, where what is promoted may still have to learn; that version where nobody knows."""
    from shoploop.events.log import LogUnavailable

    try:
        return level_version(store, name, promotions.promotions(store, name), log.end())
    except LogUnavailable:
        return promoted


def open_local(request: "str | Request", *, seconds: float) -> "HTTPResponse":
    """Opens a URL of this machine; a proxy in the environment is for other machines.

    Raises:
        URLError, OSError: nobody answers.
    """
    from urllib.request import ProxyHandler, build_opener

    answer: HTTPResponse = build_opener(ProxyHandler({})).open(request, timeout=seconds)
    return answer


def check_port(port: int, host: str = "127.0.0.1", *, option: str = "--port") -> None:
    """Makes sure that one may listen on the port.

    Raises:
        PortInUse: something else does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(
                f"Port {port} on {host} cannot be listened on: {error.strerror}. End what uses it, or name another: "
                f"{option} {port + 1 if port < 65535 else port - 1}."
            ) from error


def _free_after(port: int, host: str) -> int:
    """The first port after ``port`` that nobody listens on; any other where there is none nearby."""
    for other in range(port + 1, min(port + 21, 65536)):
        with suppress(PortInUse):
            check_port(other, host)
            return other
    return free_port()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, what: str) -> None:
    from http.client import HTTPException
    from urllib.error import URLError

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceFailed(f"The service of {what} ended at its start, with exit status {process.returncode}.")
        try:
            with open_local(f"{url}/readyz", seconds=2):
                return
        except (URLError, HTTPException, OSError):
            time.sleep(0.1)
    raise ServiceFailed(f"The service of {what} was not ready after {START_SECONDS} seconds.")
