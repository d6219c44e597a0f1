"""What is learned between two runs: the processes that do it, what they have written, and what a person decides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from shoploop.api.online import OnlineSpec
from shoploop.cli.logs import asked_log, last_spec, opened_log
from shoploop.cli.output import one_line, write_json
from shoploop.errors import NotFound
from shoploop.online.chain import Action, Chain, Commit
from shoploop.online.optimizers import OptimizerName
from shoploop.online.process import asked_to_end, check_signer, keep_what_is_loaded
from shoploop.packaging.local_setup import home_of_events, packaged_ranker, serving_version
from shoploop.store import Store, layout
from shoploop.versions.artifact import MANIFEST


def learn(
    store: Store,
    name: str,
    log: str | None,
    *,
    version: str | None,
    period_seconds: float,
    skip_gaps: bool,
    weights: tuple[Path, Path] | None = None,
    beside: str | None = None,
    access: Path | None = None,
) -> None:
    """Learns until it is ended.

    Args:
        beside: The version that serves, whose place this one is to take once it has caught up.
        weights: A weights artifact and its samples folder: how much each event counts.

    Raises:
        NotFound: nothing serves.
        ChainTaken: another learner is at work.
        LogGap: the log was trimmed behind what was learned.
    """
    from shoploop.compute.cores import use_one_thread
    from shoploop.compute.garbage import collecting_nothing
    from shoploop.events.awaited import AwaitedLog
    from shoploop.events.opening import open_log
    from shoploop.online.guardrails import GuardConfig
    from shoploop.online.learner import LearnerConfig
    from shoploop.online.limits import LimitConfig
    from shoploop.online.loop import OnlineLoop
    from shoploop.online.weighing import alike, weights_of
    from shoploop.ranking.ranker import Ranker

    check_signer()
    last = last_spec(store, name)
    asked = last.online if last else OnlineSpec()
    use_one_thread()
    with collecting_nothing():
        ranker = Ranker.load(packaged_ranker(store, name, version))
    start = ranker.settings.events_offset
    width = ranker.items()[0].shape[1]
    spec, folder = asked_log(store, name, log, access), home_of_events(store) / layout.events(name)
    with AwaitedLog(lambda: open_log(spec, name=name, folder=folder, access=access)) as opened:
        loop = OnlineLoop(
            ranker=ranker,
            log=opened,
            chain=Chain(store, name, ranker.version, width=width, start=start),
            start=start,
            learner=LearnerConfig(optimizer=cast(OptimizerName, asked.optimizer.lower())),
            guard=GuardConfig.of(asked.guardrails),
            limits=LimitConfig.of(asked.guardrails),
            weigh=weights_of(*weights) if weights else alike,
            skip_gaps=skip_gaps,
            beside=Chain(store, name, beside) if beside else None,
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


def print_dead_letters(
    store: Store,
    name: str,
    log: str | None,
    *,
    version: str | None,
    last: int,
    again: bool,
    json_: str | None,
    access: Path | None = None,
) -> None:
    """Prints what nothing could be learned from, and why; or replays what can be learned from now.

    Raises:
        NotFound: nothing serves, or no event was ever collected here.
    """
    from shoploop.online.dead_letters import Replayed, dead_letters, replay
    from shoploop.packaging.bento import collected_of

    version, chain = _chain(store, name, version)
    with opened_log(store, name, log, access) as opened:
        after = min(collected_of(store, name, version).offset, opened.end())
        found = dead_letters(opened, after=after, failed=chain.failed)
        done = replay(opened, found) if again else Replayed(replayed=(), left=())
    if json_:
        letters = [
            {"offset": each.offset, "reason": each.reason, "bytes": len(each.body.encode()), "record": each.body}
            for each in found[-last:]
        ]
        replayed = {"replayed": list(done.replayed), "left": list(done.left)} if again else {}
        write_json({"dead_letters": letters, "all": len(found)} | replayed, json_)
    elif not found:
        print(f"No dead letter: all that {version} of {name} could learn from so far, it did.")
    elif again:
        print(f"{len(done.replayed):,} of {len(found):,} dead letters are in the log once more, and are learned now.")
        if done.left:
            print(
                f"{len(done.left):,} are not: their answer is not in the log, or never showed the item, or was too long "
                "ago; or they were erased meanwhile."
            )
    else:
        for dead in found[-last:]:
            print(f"{dead.offset}  {dead.reason}  {len(dead.body.encode())} bytes  {dead.body}")


def print_difference(
    store: Store, name: str, one: int, other: int, *, version: str | None, last: int, json_: str | None
) -> None:
    """Prints what changed between two commits.

    Raises:
        NotFound: nothing serves, or there is no such commit.
    """
    from shoploop.online.difference import difference
    from shoploop.packaging.races import chain_of
    from shoploop.ranking.trained_items import trained_items

    version, chain = _chain(store, name, version, chain_of)
    items = trained_items(packaged_ranker(store, name, version))
    found = difference(chain, one, other, trained=(items.vectors_ID, items.bias_I))
    top = [
        {
            "item": items.names[code],
            "title": items.titles.get(items.names[code]),
            "vector_change": float(norm),
            "bias_change": float(bias),
        }
        for code, norm, bias in zip(found.codes_N[:last], found.vectors_N, found.bias_N, strict=False)
    ]
    changes = {
        "vectors": {"mean_norm": _mean(found.vectors_N), "max_norm": max(found.vectors_N.tolist(), default=0.0)},
        "bias": {"mean": _mean(found.bias_N), "max": max(map(abs, found.bias_N.tolist()), default=0.0)},
    }
    if json_:
        facts: dict[str, Any] = {"recommender": name, "version": version, "from": one, "to": other}
        facts |= {"examples": found.examples, "offsets": list(found.offsets)}
        write_json(facts | {"items": len(found.codes_N), "of": len(items.names)} | changes | {"top": top}, json_)
        return
    print(
        f"{name} {version}, from commit {one} (record {found.offsets[0]:,}) to {other} (record {found.offsets[1]:,}): "
        f"{found.examples:+,} examples."
    )
    print(f"{len(found.codes_N):,} of {len(items.names):,} items changed.")
    if not top:
        return
    norm = float((items.vectors_ID**2).sum(axis=1).mean() ** 0.5)
    vectors, bias = changes["vectors"], changes["bias"]
    print(
        f"w_i moved by {vectors['mean_norm']:.4f} on average, {vectors['max_norm']:.4f} at most; a typical one is "
        f"{norm:.4f} long."
    )
    print(f"b_i moved by {bias['mean']:+.4f} log-odds on average, {bias['max']:.4f} at most.")
    print("Those that moved most: change of w_i, of b_i, item")
    for each in top:
        moved = f"{each['vector_change']:8.4f}  {each['bias_change']:+8.4f}"
        print(f"  {moved}  {each['item']}  {one_line(each['title'] or '')}".rstrip())


def _mean(values_N: Any) -> float:
    return float(values_N.mean()) if len(values_N) else 0.0


def decide(
    store: Store,
    name: str,
    action: Action,
    *,
    version: str | None,
    by: str,
    reason: str,
    to: int | None = None,
    json_: str | None = None,
) -> None:
    """Writes what a person decides.

    Raises:
        NotFound: nothing serves, or there is no such commit.
    """
    from shoploop.packaging.races import chain_of

    version, chain = _chain(store, name, version, chain_of)
    commit = chain.decide(action, by=by, reason=reason, to=to)
    if json_:
        write_json(_facts(commit) | {"recommender": name, "version": version, "served": chain.served}, json_)
        return
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


def _chain(
    store: Store, name: str, version: str | None, opened: Callable[[Store, str, str], Chain] = Chain
) -> tuple[str, Chain]:
    version = version or serving_version(store, name)
    if not store.exists(f"{layout.version(name, version)}/{MANIFEST}"):
        raise NotFound(f"Recommender {name!r} has no version {version}. `shoploop versions {name}` lists them.")
    chain = opened(store, name, version)
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
