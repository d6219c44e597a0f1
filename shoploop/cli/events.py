"""What lies in a recommender's event log, and what becomes of it."""

from collections import deque
from pathlib import Path

from shoploop.api.v1alpha1 import RetentionSpec
from shoploop.cli.logs import last_spec, opened_log
from shoploop.cli.output import write_json
from shoploop.store import Store


def compact_events(store: Store, name: str, log: str | None, *, anew: bool = False, access: Path | None = None) -> None:
    """Compacts, and says what became interactions.

    Raises:
        NotFound: no event was ever collected here.
        AlreadyExists: another compaction was faster.
        LogReplaced: the log is not the one that was compacted before.
    """
    from shoploop.events.compaction import compact

    with opened_log(store, name, log, access) as opened:
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


def trim_events(store: Store, name: str, log: str | None, *, days: int | None, access: Path | None = None) -> None:
    """Forgets what the serving version was trained on, and says up to where.

    Args:
        days: How long a record is kept at least. Unset: ``spec.retention.onlineDays``, as the last run was given it.

    Raises:
        NotFound: no event was ever collected here, or nothing serves.
        LogReplaced: the log is not the one that was compacted.
    """
    from shoploop.events.compaction import LEAST_DAYS, trim
    from shoploop.packaging.bento import collected_of
    from shoploop.packaging.local_setup import serving_version

    version = serving_version(store, name)
    built_on = collected_of(store, name, version).cut
    days = _retention_days(store, name) if days is None else days
    with opened_log(store, name, log, access) as opened:
        through = trim(opened, store, name, built_on=built_on, days=days)
    if through is not None:
        print(f"The event log of {name} holds records from {through + 1:,} on: {version} was trained on those before.")
        return
    print(
        f"Nothing to forget: of what {version} of {name} was trained on, no record was collected more than "
        f"{max(days, LEAST_DAYS)} days ago."
    )


def delete_user(
    store: Store, name: str, log: str | None, *, user: str, by: str, json_: str | None, access: Path | None = None
) -> None:
    """Takes a user's events away, and says where something of them stays.

    Raises:
        NotFound: no event was ever collected here.
        LogReplaced: the log is not the one that was compacted, or learned from.
        LogUnavailable: the log does not answer; do it again.
        AlreadyExists: somebody compacts at the same time; do it again.
    """
    from shoploop.data.ids import canonical_id
    from shoploop.events.erasing import erase_user
    from shoploop.packaging.affected import affected, check_learned

    user = str(canonical_id(user))
    with opened_log(store, name, log, access) as opened:
        erased = erase_user(opened, store, name, user, by=by)
        if not erased.records and not erased.interactions:
            check_learned(store, name, end=opened.end())
    found = affected(store, name, erased)
    remains = [
        *([erased.leftovers] if erased.leftovers else []),
        "What was learned of them stays in weights, as a part of sums over many users: it cannot be taken out of these, and "
        "goes with the versions and commits that are named here.",
        "Packages of versions hold users' histories, and runs keep copies of the data that they read: both go by "
        "spec.retention (`shoploop gc`), once a run without these events has made a version that serves.",
        "The shop's own tables are not touched: what they say of this user is learned from again, until it is deleted there.",
        "Predictors and learners that run forget this user's events, and the answers to them, as they read on in the log; "
        "learners count how much each user taught until the day is over, and how much of it was worse than chance until they "
        "are started again.",
        "What a page or a server of the shop sends of this user from now on, also once more, is collected as ever.",
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


def show_events(store: Store, name: str, log: str | None, *, last: int, access: Path | None = None) -> None:
    """Prints the newest records.

    Raises:
        NotFound: no event was ever collected here.
    """
    from shoploop.events.log import BEGINNING

    kept: deque[str] = deque(maxlen=last)
    with opened_log(store, name, log, access) as opened:
        after = BEGINNING
        while records := opened.read(after, limit=10_000):
            kept.extend(record.body.decode(errors="replace") for record in records)
            after = records[-1].offset
    for line in kept:
        print(line)
