"""Which versions, and which commits on top of them, may have learned from records that were erased since."""

from dataclasses import dataclass

from shoploop.errors import NotFound
from shoploop.events.cuts import LogReplaced
from shoploop.events.erasing import Erased
from shoploop.online.chain import Chain
from shoploop.packaging.bento import collected_of
from shoploop.store import Store
from shoploop.versions.promotions import version_ids


@dataclass(frozen=True, kw_only=True)
class Affected:
    """What may hold something of a user, though their records are gone."""

    versions: tuple[str, ...]
    """Trained on collected events from theirs on; their packages hold users' histories."""

    commits: dict[str, tuple[int, int]]
    """By version, the first and the last commit that read something of theirs."""


def affected(store: Store, name: str, erased: Erased) -> Affected:
    """Of all versions that are still in the store.

    Raises:
        StoreUnavailable: a chain cannot be read.
    """
    versions, commits = [], {}
    for version in version_ids(store, name):
        try:
            collected = collected_of(store, name, version)
        except NotFound:  # it was never packaged: nothing serves it
            continue
        read = erased.first is not None and collected.offset >= erased.first
        if read or (erased.first_cut is not None and collected.cut >= erased.first_cut):
            versions.append(version)
        chain = Chain(store, name, version, start=collected.offset)
        chain.refresh()
        if erased.last is None or erased.last <= collected.offset:
            continue
        first = max(erased.first or 0, collected.offset + 1)
        having = [commit.number for commit in chain.commits if commit.offset >= first]
        if having:
            commits[version] = (having[0], having[-1])
    return Affected(versions=tuple(versions), commits=commits)


def check_learned(store: Store, name: str, *, end: int) -> None:
    """Makes sure that a log in which nothing was found may be the one that was last learned from.

    Args:
        store: Where the chains lie.
        name: Of the recommender.
        end: Offset of the log's last record.

    Raises:
        LogReplaced: it ends before what was learned.
        StoreUnavailable: a chain cannot be read.
    """
    last = None
    for version in version_ids(store, name):
        chain = Chain(store, name, version)
        chain.refresh()
        if chain.commits and (last is None or chain.commits[-1].time >= last.time):
            last = chain.commits[-1]
    if last is not None and last.offset > end:
        raise LogReplaced(
            f"Nothing was found in an event log that ends at record {end:,}, and what was learned reaches record "
            f"{last.offset:,}: it is another log, or lost what it held. Name the right one with --log; where that is gone "
            "for good, nothing is left to be erased."
        )
