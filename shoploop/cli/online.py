"""What is learned between two runs: the processes that do it, what they have written, and what a person decides."""

from collections import deque
from pathlib import Path
from typing import Any, cast

from shoploop.api.online import OnlineSpec
from shoploop.cli.events import last_spec, log_folder, log_of
from shoploop.cli.output import write_json
from shoploop.errors import NotFound
from shoploop.online.chain import Action, Chain, Commit
from shoploop.online.optimizers import OptimizerName
from shoploop.online.process import asked_to_end, check_trust, keep_what_is_loaded
from shoploop.packaging.local_service import home_of_events, packaged_ranker, serving_version
from shoploop.store import Store, layout
from shoploop.versions.artifact import MANIFEST


def learn(
    store: Store,
    name: str,
    log: str,
    *,
    version: str | None,
    period_seconds: float,
    skip_gaps: bool,
    weights: tuple[Path, Path] | None = None,
) -> None:
    """Learns until it is ended.

    Args:
        weights: A weights artifact and its samples folder: how much each event counts.

    Raises:
        NotFound: nothing serves.
        ChainTaken: another learner is at work.
        LogGap: the log was trimmed behind what was learned.
    """
    from shoploop.compute.cores import use_one_thread
    from shoploop.events.awaited import AwaitedLog
    from shoploop.events.opening import open_log
    from shoploop.online.learner import LearnerConfig
    from shoploop.online.loop import OnlineLoop
    from shoploop.online.weighing import alike, weights_of
    from shoploop.ranking.ranker import Ranker

    last = last_spec(store, name)
    optimizer = cast(OptimizerName, (last.online if last else OnlineSpec()).optimizer.lower())
    use_one_thread()
    ranker = Ranker.load(packaged_ranker(store, name, version))
    start = ranker.settings.events_offset
    width = ranker.items()[0].shape[1]
    spec, folder = log_of(log), home_of_events(store) / layout.events(name)
    with AwaitedLog(lambda: open_log(spec, name=name, folder=folder)) as opened:
        loop = OnlineLoop(
            ranker=ranker,
            log=opened,
            chain=Chain(store, name, ranker.version, width=width, start=start),
            start=start,
            learner=LearnerConfig(optimizer=optimizer),
            weigh=weights_of(*weights) if weights else alike,
            skip_gaps=skip_gaps,
        )
        keep_what_is_loaded()
        print(f"{name} {ranker.version} learns from what comes after record {start} of the event log.", flush=True)
        loop.run(period_seconds=period_seconds, until=asked_to_end())


def follow(store: Store, name: str, into: Path, *, version: str | None) -> None:
    """Brings what is learned into a folder until it is ended.

    Raises:
        NotFound: nothing serves.
        ArtifactUnsigned: signatures are asked for, and commits have none.
    """
    from shoploop.online.updater import Updater, follow

    check_trust()
    version = version or serving_version(store, name)
    follow(Updater(Chain(store, name, version), into, version=version), until=asked_to_end())


def print_log(store: Store, name: str, *, version: str | None, last: int, json_: str | None) -> None:
    """Prints the newest commits.

    Raises:
        NotFound: nothing serves.
    """
    version, chain = _chain(store, name, version)
    commits = chain.commits[-last:]
    served = chain.served
    if json_:
        write_json({"commits": [_facts(commit) | {"served": commit.number == served} for commit in commits]}, json_)
        return
    if not commits:
        print(f"Nothing was learned on top of {version} of {name} yet.")
        return
    for commit in commits:
        mark = "*" if commit.number == served else " "
        print(f"{mark}{commit.number:>6}  {commit.time}  {commit.action:<8}  record {commit.offset}  {commit.reason}")
    print(_summary(commits[-1]))
    if frozen := chain.frozen:
        print(_frozen(name, frozen))


def print_dead_letters(store: Store, name: str, log: str, *, version: str | None, last: int) -> None:
    """Prints what nothing could be learned from, and why.

    Raises:
        NotFound: nothing serves, or no event was ever collected here.
    """
    from shoploop.events.opening import open_log
    from shoploop.online.joiner import dead_letters
    from shoploop.packaging.bento import collected_of

    version = version or serving_version(store, name)
    spec = log_of(log)
    with open_log(spec, name=name, folder=log_folder(store, name, spec)) as opened:
        after = min(collected_of(store, name, version).offset, opened.end())
        kept = deque(dead_letters(opened, after=after), maxlen=last)
    for dead in kept:
        print(f"{dead.offset}  {dead.reason}  {dead.body}")
    if not kept:
        print(f"No dead letter: all that {version} of {name} could learn from so far, it did.")


def decide(
    store: Store, name: str, action: Action, *, version: str | None, by: str, reason: str, to: int | None = None
) -> None:
    """Writes what a person decides.

    Raises:
        NotFound: nothing serves, or there is no such commit.
    """
    version, chain = _chain(store, name, version)
    commit = chain.decide(action, by=by, reason=reason, to=to)
    what = {
        "rollback": f"Commit {to} of {version} serves again; what comes is learned on top of it.",
        "pin": f"Commit {to} of {version} serves until `shoploop online unpin {name}`; learning goes on.",
        "unpin": f"The newest commit of {version} serves again.",
        "resume": f"{version} is learned on again.",
        "freeze": f"Nothing more of {version} is learned.",
    }[action]
    print(f"{what} (commit {commit.number})")


def print_status(store: Store, name: str, *, version: str | None, json_: str | None) -> None:
    """Prints where the chain is.

    Raises:
        NotFound: nothing serves.
    """
    version, chain = _chain(store, name, version)
    last, frozen = (chain.commits[-1] if chain.commits else None), chain.frozen
    if json_:
        facts: dict[str, Any] = {"recommender": name, "version": version, "commit": chain.head, "served": chain.served}
        facts["frozen"] = frozen.reason if frozen else None
        write_json(facts | {"last": _facts(last) if last else None}, json_)
        return
    print(f"{name} {version}: commit {chain.head}, commit {chain.served} serves.")
    if last:
        print(_summary(last))
    if frozen:
        print(_frozen(name, frozen))


def _chain(store: Store, name: str, version: str | None) -> tuple[str, Chain]:
    version = version or serving_version(store, name)
    if not store.exists(f"{layout.version(name, version)}/{MANIFEST}"):
        raise NotFound(f"Recommender {name!r} has no version {version}. `shoploop versions {name}` lists them.")
    chain = Chain(store, name, version)
    chain.refresh()
    return version, chain


def _facts(commit: Commit) -> dict[str, Any]:
    facts = vars(commit) | {"totals": vars(commit.totals)}
    return {key: value for key, value in facts.items() if key != "resumes"}


def _frozen(name: str, freeze: Commit) -> str:
    return f"Nothing is learned since commit {freeze.number}: {freeze.reason} `shoploop online resume {name}` goes on."


def _summary(commit: Commit) -> str:
    totals = commit.totals
    if not totals.examples:
        return "No example was learned yet."
    online, frozen = totals.online_loss / totals.examples, totals.frozen_loss / totals.examples
    return (
        f"{totals.examples:,} examples, each predicted before it was learned: {online:.4f} nats of surprise, {frozen:.4f} of "
        f"the version as it was trained. {totals.dead_letters:,} dead letters, {totals.capped:,} beyond a user's share."
        + (f" {totals.lost:,} records were trimmed before they were learned from." if totals.lost else "")
    )
