"""``shoploop candidate``: which version meets some shoppers beside the one that serves."""

from collections.abc import Sequence
from datetime import UTC, datetime

from shoploop.errors import SpecInvalid
from shoploop.store import Store
from shoploop.versions import candidacy, promotions


def candidate(
    store: Store,
    name: str,
    version: str | None,
    *,
    percent: int,
    steps: Sequence[str],
    shadow: bool,
    end: bool,
    reason: str,
    by: str,
) -> None:
    """Begins or ends a candidacy, or says which one goes on.

    Raises:
        NotFound: no such version, or no candidate to end.
        SpecInvalid: what is asked does not fit together.
    """
    if end:
        if version is not None or percent or steps or shadow:
            raise SpecInvalid("--end stands alone.")
        ended = candidacy.end(store, name, reason=reason, by=by)
        print(f"{ended.version} is no candidate of {name} any more; {promotions.serving_version(store, name)} serves.")
        return
    if version is None:
        if percent or steps or shadow:
            raise SpecInvalid("Name the version that is to be the candidate.")
        print(_told(name, candidacy.current(store, name)))
        return
    if sum((bool(percent), bool(steps), shadow)) > 1:
        raise SpecInvalid("Name one of --percent, --step and --shadow.")
    begun = candidacy.begin(
        store, name, version, percent=percent, steps=tuple(map(_step, steps)), shadow=shadow, reason=reason, by=by
    )
    print(_told(name, begun))


def _step(text: str) -> tuple[int, int]:
    percent, _, minutes = text.partition(":")
    if not (percent.isdecimal() and minutes.isdecimal() and 0 < int(percent) < candidacy.EVERYBODY and int(minutes)):
        raise SpecInvalid(f"--step {text}: write percent:minutes, such as 10:60.")
    return int(percent), int(minutes)


def _told(name: str, now: candidacy.Candidacy | None) -> str:
    if now is None:
        return f"{name} has no candidate."
    if now.shadow:
        return f"{now.version} is the candidate of {name}, in the shadow, since {now.time}: {now.reason}."
    percent = now.percent_at(datetime.now(UTC))
    then = "; after its last step it is promoted" if now.steps else ""
    return f"{now.version} is the candidate of {name} and answers {percent} % of users, since {now.time}: {now.reason}{then}."
