"""Which event log a command opens: the one that the recommender writes.

A server may hold several logs of one name, told apart by ``spec.online.log.prefix``, and ask for passwords and certificates:
an address alone does not say which log is meant. So the spec that the last run was given says it, and ``--log`` where its
server is reached from here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from shoploop.api.kubernetes import AuthorityReference, SecretReference
from shoploop.api.online import EventLogSpec, LogTlsSpec
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.errors import NotFound, SpecInvalid
from shoploop.events.access import AUTHORITY, PASSWORD
from shoploop.events.log import BEGINNING, EventLog
from shoploop.events.opening import FILE, open_log, place_of
from shoploop.packaging.local_setup import home_of_events
from shoploop.store import Store, layout

OF_THE_SPEC = "spec"
"""As ``--log``: the log that the spec names, though there is another one on this machine."""


@contextmanager
def opened_log(store: Store, name: str, log: str | None, access: Path | None) -> Iterator[EventLog]:
    """The log of a recommender, which holds something.

    Args:
        store: Where the recommender's runs lie.
        name: Of the recommender.
        log: As ``--log`` says it.
        access: As ``--log-access`` says it.

    Raises:
        SpecInvalid: it is not clear which log is meant, or how it is reached.
        NotFound: no event was ever collected there.
        LogUnavailable: it cannot be reached.
    """
    spec = asked_log(store, name, log, access)
    folder = log_folder(store, name, spec)
    with open_log(spec, name=name, folder=folder, access=access, make=False) as opened:
        if opened.end() == BEGINNING:
            raise NotFound(
                f"No event was ever collected in the event log of {name}, {place_of(spec, name=name, folder=folder)}. "
                "Name the right one with --log."
            )
        yield opened


def asked_log(store: Store, name: str, log: str | None, access: Path | None) -> EventLogSpec:
    """The log that is meant: of the spec as the last run was given it, at the address that ``log`` names.

    Raises:
        SpecInvalid: that is not clear, or not said of how it is reached.
    """
    if log is not None and log.startswith("{"):
        return log_of(log)
    last = last_spec(store, name)
    own = last.online.log if last else None
    if log is not None and log != OF_THE_SPEC:
        named = log_of(log)
        return named if named.type == "Sqlite" else _completed(named, own, access)
    if own is None or own.type == "Sqlite":
        if log == OF_THE_SPEC and own is None:
            raise SpecInvalid(f"--log spec: the last run of {name!r} was given no spec.online.log.")
        return EventLogSpec()
    from shoploop.controller.decide.feedback import reached

    own = reached(name, own)
    here = home_of_events(store) / layout.events(name)
    if log is None and (here / FILE).exists():
        raise SpecInvalid(
            f"Events of {name} lie in two logs: {place_of(own, name=name, folder=here)}, as the spec says, and "
            f"{here / FILE}, where `shoploop serve` has put what it collected on this machine. Name --log spec, with its "
            "address in place of spec where that is another one from here, or --log sqlite."
        )
    if access is None and (own.secret_ref or (own.tls and own.tls.ca_ref)):
        secret = own.secret_ref or (own.tls and own.tls.ca_ref)
        assert secret
        raise SpecInvalid(
            f"The event log of {name}, {place_of(own, name=name, folder=here)}, asks for what is in Secret {secret.name}. "
            "Write its keys into files of a folder (password, and username where there is one; ca.crt of a private "
            "authority), and name that with --log-access."
        )
    return own


def _completed(named: EventLogSpec, own: EventLogSpec | None, access: Path | None) -> EventLogSpec:
    """An address with what the spec says of the log beside it; how it is reached only with a folder to prove it by."""
    if own is not None and own.type != named.type:
        own = None
    told = named.model_dump() | {"prefix": own.prefix if own else None}
    if access is not None:
        proofs: dict[str, object]
        if own is not None:
            proofs = {"secret_ref": own.secret_ref, "tls": own.tls, "sasl_mechanism": own.sasl_mechanism}
        else:
            authority = AuthorityReference(name=access.name) if (access / AUTHORITY).is_file() else None
            proofs = {
                "secret_ref": SecretReference(name=access.name) if (access / PASSWORD).is_file() else None,
                "tls": LogTlsSpec(ca_ref=authority) if authority else None,
            }
        if "@" in (named.connection or ""):  # it has a password itself
            proofs["secret_ref"] = None
        told |= proofs
    try:
        return EventLogSpec.model_validate(told)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SpecInvalid(f"--log does not fit spec.online.log: {why}.") from None  # the rest may tell a password


def names_place(text: str) -> bool:
    """Whether what :func:`log_of` reads says more than the kind of log."""
    return text.startswith("{") or bool(text.partition("://")[2])


def log_of(text: str) -> EventLogSpec:
    """``sqlite``, ``redis://host:port/0``, ``rediss://...`` or ``kafka://host:port``; the kind alone means this machine. Or
    all of ``spec.online.log``, as JSON.

    Raises:
        SpecInvalid: it is none of them.
    """
    scheme, _, place = text.partition("://")
    try:
        if text.startswith("{"):
            scheme = "{...}"
            return EventLogSpec.model_validate_json(text)
        if scheme == "sqlite" and not place:
            return EventLogSpec()
        if scheme in ("redis", "rediss"):
            return EventLogSpec(type="Redis", connection=text if place else "127.0.0.1:6379")
        if scheme == "kafka":
            return EventLogSpec(type="Kafka", connection=place or "127.0.0.1:9092")
    except ValidationError:  # whose words would tell a password
        raise SpecInvalid(f"--log {scheme}: what follows is no address. Name host:port.") from None
    raise SpecInvalid(
        f"--log {scheme}: no event log is called so. Name sqlite, redis://host:port/0 or kafka://host:port."
    )


def last_spec(store: Store, name: str) -> RecommenderSpec | None:
    """The spec as the last run was given it; None where there was none."""
    for run in reversed(store.folders(layout.runs(name))):
        try:
            plan = store.get_json(layout.run_plan(layout.run(name, run)))
            return Recommender.model_validate(plan["recommender"]).spec
        except (NotFound, ValueError, KeyError, TypeError):  # one that is just begun, or another shoploop's
            continue
    return None


def log_folder(store: Store, name: str, spec: EventLogSpec) -> Path:
    """Where the events of a recommender lie on this machine.

    Raises:
        NotFound: the log is a file, and there is none.
    """
    folder = home_of_events(store) / layout.events(name)
    if spec.type == "Sqlite" and not (folder / FILE).exists():
        raise NotFound(f"No event of {name!r} was collected on this machine: {folder / FILE} is not there.")
    return folder
