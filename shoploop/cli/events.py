"""The event log that a command names, and what lies in it."""

from collections import deque
from pathlib import Path

from pydantic import ValidationError

from shoploop.api.online import EventLogSpec
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec, RetentionSpec
from shoploop.cli.output import write_json
from shoploop.errors import NotFound, SpecInvalid
from shoploop.store import Store, layout


def log_of(text: str) -> EventLogSpec:
    """``sqlite``, ``redis://host:port/0``, ``rediss://...`` or ``kafka://host:port``; the kind alone means this machine.

    Raises:
        SpecInvalid: it is none of them.
    """
    scheme, _, place = text.partition("://")
    try:
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


def compact_events(store: Store, name: str, log: str, *, anew: bool = False) -> None:
    """Compacts, and says what became interactions.

    Raises:
        NotFound: no event was ever collected here.
        AlreadyExists: another compaction was faster.
        LogReplaced: the log is not the one that was compacted before.
    """
    from shoploop.events.compaction import compact
    from shoploop.events.opening import open_log

    spec = log_of(log)
    with open_log(spec, name=name, folder=log_folder(store, name, spec)) as opened:
        cut = compact(opened, store, name, anew=anew)
    if cut is None:
        print(f"Nothing new: all events of {name} are interactions already.")
        return
    if cut.missed:
        print(
            f"{cut.missed:,} records were gone from the log before they were compacted, and nobody learns from them: see "
            "to it that the log keeps what it takes (a Kafka topic with retention.ms -1), or compact it more often."
        )
    if cut.unread:
        print(
            f"{cut.unread:,} records could not be read and are left in the log; a newer shoploop may have written them."
        )
    days = {file.rpartition("/")[0] for file in cut.files if file.startswith("date=")}
    print(
        f"{cut.events:,} events of {name} are interactions now, of {len(days)} days (records {cut.after + 1:,} to "
        f"{cut.through:,}). The next run learns from them."
    )


def trim_events(store: Store, name: str, log: str, *, days: int | None) -> None:
    """Forgets what the serving version was trained on, and says up to where.

    Args:
        days: How long a record is kept at least. Unset: ``spec.retention.onlineDays``, as the last run was given it.

    Raises:
        NotFound: no event was ever collected here, or nothing serves.
        LogReplaced: the log is not the one that was compacted.
    """
    from shoploop.events.compaction import LEAST_DAYS, trim
    from shoploop.events.opening import open_log
    from shoploop.packaging.bento import collected_of
    from shoploop.packaging.local_service import serving_version

    spec = log_of(log)
    version = serving_version(store, name)
    built_on = collected_of(store, name, version).cut
    days = _retention_days(store, name) if days is None else days
    with open_log(spec, name=name, folder=log_folder(store, name, spec)) as opened:
        through = trim(opened, store, name, built_on=built_on, days=days)
    if through is not None:
        print(f"The event log of {name} holds records from {through + 1:,} on: {version} was trained on those before.")
        return
    print(
        f"Nothing to forget: of what {version} of {name} was trained on, no record was collected more than "
        f"{max(days, LEAST_DAYS)} days ago."
    )


def delete_user(store: Store, name: str, log: str, *, user: str, by: str, json_: str | None) -> None:
    """Takes a user's events away, and says where something of them stays.

    Raises:
        NotFound: no event was ever collected here.
        LogUnavailable: the log does not answer; do it again.
        AlreadyExists: somebody compacts at the same time; do it again.
    """
    from shoploop.data.ids import canonical_id
    from shoploop.events.erasing import erase_user
    from shoploop.events.opening import open_log
    from shoploop.packaging.affected import affected

    user, spec = str(canonical_id(user)), log_of(log)
    with open_log(spec, name=name, folder=log_folder(store, name, spec)) as opened:
        erased = erase_user(opened, store, name, user, by=by)
    found = affected(store, name, erased)
    remains = [
        *([erased.leftovers] if erased.leftovers else []),
        "What was learned of them stays in weights, as a part of sums over many users: it cannot be taken out of these, and "
        "goes with the versions and commits that are named here.",
        "Packages of versions hold users' histories, and runs keep copies of the data that they read: both go by "
        "spec.retention (`shoploop gc`), once a run without these events has made a version that serves.",
        "The shop's own tables are not touched: what they say of this user is learned from again, until it is deleted there.",
        "Predictors that run know this user's last events until they are started again.",
    ]
    if json_:
        facts = {"recommender": name, "user": user, "records": erased.records, "interactions": erased.interactions}
        facts |= {"unread": erased.unread, "versions": list(found.versions)}
        write_json(facts | {"commits": {k: list(v) for k, v in found.commits.items()}, "remains": remains}, json_)
        return
    if not erased.records and not erased.interactions:
        print(f"The event log of {name}, and what was compacted of it, holds nothing of user {user}.")
        return
    print(
        f"{erased.records:,} records of user {user} left the event log of {name}, and {erased.interactions:,} rows what was "
        "compacted of it: no run, learner or replay reads them again."
    )
    if erased.unread:
        print(f"{erased.unread:,} records of the log cannot be read, so nobody knows whose they are.")
    print(f"Versions that were trained on some of them: {', '.join(found.versions) or 'none'}.")
    learned = ", ".join(f"{first} to {last} of {version}" for version, (first, last) in found.commits.items())
    print(f"Online commits that read some of them: {learned or 'none'}.")
    for line in remains:
        print(f"  {line}")


def _retention_days(store: Store, name: str) -> int:
    spec = last_spec(store, name)
    return (spec.retention if spec else RetentionSpec()).online_days


def last_spec(store: Store, name: str) -> RecommenderSpec | None:
    """The spec as the last run was given it; None where there was none."""
    for run in reversed(store.folders(layout.runs(name))):
        try:
            plan = store.get_json(layout.run_plan(layout.run(name, run)))
            return Recommender.model_validate(plan["recommender"]).spec
        except (NotFound, ValueError, KeyError, TypeError):  # one that is just begun, or another shoploop's
            continue
    return None


def show_events(store: Store, name: str, log: str, *, last: int) -> None:
    """Prints the newest records.

    Raises:
        NotFound: no event was ever collected here.
    """
    from shoploop.events.log import BEGINNING
    from shoploop.events.opening import open_log

    spec = log_of(log)
    kept: deque[str] = deque(maxlen=last)
    with open_log(spec, name=name, folder=log_folder(store, name, spec)) as opened:
        after = BEGINNING
        while records := opened.read(after, limit=10_000):
            kept.extend(record.body.decode(errors="replace") for record in records)
            after = records[-1].offset
    for line in kept:
        print(line)


def log_folder(store: Store, name: str, spec: EventLogSpec) -> Path:
    """Where the events of a recommender lie on this machine.

    Raises:
        NotFound: the log is a file, and there is none.
    """
    from shoploop.events.opening import FILE
    from shoploop.packaging.local_service import home_of_events

    folder = home_of_events(store) / layout.events(name)
    if spec.type == "Sqlite" and not (folder / FILE).exists():
        raise NotFound(f"No event of {name!r} was collected on this machine: {folder / FILE} is not there.")
    return folder
