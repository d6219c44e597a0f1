"""The chain of commits on top of a version: what was learned, up to which record of the event log, and what people decided.

One log in the store, written with put-if-absent: of two learners one wins, and the other finds out at its next commit. An
entry names what it holds by sha256, and that was written before it, so a crash leaves garbage and never half a commit. A
commit holds the rows that changed since the one before; one that is ``full`` holds all of them and what had been decided
before it, and reading begins there: what lies before it is listed, and read by who asks for it.

What is learned is learned by batches, and a commit does not wait for one to be whole: it has the rows as they were when the
batch began, and those that its first examples would make of them *ahead*. Predictors serve both; a learner that begins anew
goes on from where the batch began, so what it comes to does not depend on when somebody committed.

Where there is a key each entry is signed: recommender, version, number and content, and so what it names.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, overload

from shoploop.errors import AlreadyExists, ArtifactCorrupt, ArtifactForeign, NotFound, ShoploopError, StoreUnavailable
from shoploop.online.guardrails import Block, is_of_guard
from shoploop.online.rows import REMEDY, Rows, both_from_bytes, to_bytes
from shoploop.online.window import Window, Windows
from shoploop.store import Log, Store, layout
from shoploop.versions.signing import Statement, Trust, digest, signed, signer_for

Action = Literal["learn", "rollback", "freeze", "resume", "pin", "unpin"]
ACTIONS: tuple[Action, ...] = ("learn", "rollback", "freeze", "resume", "pin", "unpin")
SNAPSHOT_EVERY = 100
"""Commits; so many are read at most to know a state."""

KEPT = 2 * SNAPSHOT_EVERY
"""Commits that stay in memory, the last ones: what the next state is made of, also where a decision took the place of one
that would have been full. Older ones are read from the store when somebody asks for them."""

ATTEMPTS = 20

SIGNATURE = "signature"
"""Of an entry: the envelope of its signatures, as :mod:`shoploop.versions.signing` writes it."""


FORMAT = 2
"""Of entries. One that a shoploop before could not read as it is meant has a higher one; those without a number are of the
first, which had fewer sums of a block."""

DECIDED = "decided"
"""Of an entry that is full: what had been decided before it and still held, so that nobody need read on to know it. Entries
of earlier versions have none; these ignore it."""

DECIDERS_KEPT = 16
"""Decisions, the last ones, of which one knows by whom they are without reading them."""

STOPS_KEPT = 16
"""Times at which a guardrail stopped learning: what is resumed by rule waits longer for each within a day."""

MARK_CHARACTERS = 16
"""By them a record is told from another of the same offset, in another log."""

FAILED_KEPT = 100
"""Records that the learner failed at, the last ones, whose offsets an entry tells; how many there were is in its totals."""


class ChainTaken(ShoploopError):
    """Another learner writes this chain."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Since the version was trained, or of some records alone."""

    examples: int = 0
    online_loss: float = 0.0
    """Sum over the examples, nats, each before it was learned."""

    frozen_loss: float = 0.0
    dead_letters: int = 0
    capped: int = 0
    """Examples of users who had had their share, or whose choices are worse than chance."""

    lost: int = 0
    """Records that the log had forgotten before they were learned from."""

    def __add__(self, more: "Totals") -> "Totals":
        return Totals(**{name: value + getattr(more, name) for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Standing:
    """From where learning goes on: the beginning of a batch."""

    offset: int
    """Of the last record before the batch."""

    totals: Totals
    block: Block

    def to_json(self) -> dict[str, Any]:
        return {"offset": self.offset, "totals": vars(self.totals), "block": self.block.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Standing":
        return cls(offset=int(data["offset"]), totals=Totals(**data["totals"]), block=Block(**data["block"]))


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One entry."""

    number: int
    action: Action
    time: str
    """UTC, ISO 8601."""

    by: str
    reason: str
    offset: int
    """Of the last record of the event log that was read."""

    totals: Totals
    resumes: Standing
    """Where its batch began; a decision begins one."""

    digest: str | None = None
    """sha256 of the rows; None where they are as before."""

    full: bool = False
    """The rows are all there are, not only what changed."""

    to: int | None = None
    """The commit whose state a rollback, a freeze or a pin names; 0 is the version as it was trained."""

    failed: tuple[int, ...] = ()
    """Offsets of the last records since the version was trained which the learner failed at; those of an open batch are
    told when it ends."""

    window: Window | None = None
    """What the learner remembered at some batch before, the last one that was written down."""

    record: str | None = None
    """What :func:`mark` says of the record at the offset; None where the log had none there, or nobody wrote it down."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What the chain comes to at a commit."""

    number: int
    offset: int
    """Of the last record that was read."""

    totals: Totals
    rows: Rows
    """What is served."""

    resumes: Standing
    base: Rows
    """The rows as they were there."""


class Commits(Sequence[Commit]):
    """Commits by place, the oldest first; those that are not in memory are read from the store one by one."""

    def __init__(self, read: Callable[[int], Commit], places: range):
        """
        Args:
            read: The commit of a number.
            places: Of these commits; the first commit of a chain has place 0.
        """
        self._read = read
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Commit: ...
    @overload
    def __getitem__(self, place: slice) -> "Commits": ...
    def __getitem__(self, place: int | slice) -> "Commit | Commits":
        if isinstance(place, slice):
            return Commits(self._read, self._places[place])
        return self._read(self._places[place] + 1)

    def __iter__(self) -> Iterator[Commit]:
        return (self._read(place + 1) for place in self._places)


@dataclass(frozen=True)
class _Known:
    """What is in memory of a chain: its size does not grow with the chain. It is exchanged as a whole, so that other threads
    never see half of it."""

    head: int = 0
    last: tuple[Commit, ...] = ()
    frozen: Commit | None = None
    pinned: int | None = None
    stops: tuple[datetime, ...] = ()
    """When guardrails have frozen it, the last times."""

    deciders: tuple[str, ...] = ()
    """Who wrote what is not learned, the last times."""

    def after(self, commit: Commit) -> "_Known":
        """The same behind one commit more, which is not yet among the last ones."""
        known = replace(self, head=commit.number)
        if commit.action != "learn":
            known = replace(known, deciders=(*self.deciders, commit.by)[-DECIDERS_KEPT:])
        match commit.action:
            case "freeze":
                stops = known.stops
                if is_of_guard(commit.reason, commit.to):
                    stops = (*stops, datetime.fromisoformat(commit.time))[-STOPS_KEPT:]
                return replace(known, frozen=commit, stops=stops)
            case "resume":
                return replace(known, frozen=None)
            case "pin":
                assert commit.to is not None
                return replace(known, pinned=commit.to)
            case "unpin" | "rollback":
                return replace(known, pinned=None)
        return known

    def decided(self) -> dict[str, Any]:
        """As it stands in an entry."""
        return {
            "pinned": self.pinned,
            "frozen": self.frozen.number if self.frozen else None,
            "stops": [stop.isoformat() for stop in self.stops],
            "by": list(self.deciders),
        }

    @classmethod
    def before(cls, number: int, decided: dict[str, Any], *, read: Callable[[int], Commit]) -> "_Known":
        """What was known before that commit, of the last ones nothing.

        Args:
            number: Of the commit.
            decided: As it stands there.
            read: The commit of a number.

        Raises:
            KeyError, TypeError, ValueError: that is not it.
        """
        pinned, frozen = (None if decided[key] is None else int(decided[key]) for key in ("pinned", "frozen"))
        if not (0 <= (pinned or 0) < number and 0 < (frozen or 1) <= max(number - 1, 1)):
            raise ValueError(f"commit {pinned} is pinned, and {frozen} froze it")
        froze = None if frozen is None else read(frozen)
        if froze is not None and (froze.number, froze.action) != (frozen, "freeze"):
            raise ValueError(f"commit {frozen} froze nothing")
        return cls(
            head=number - 1,
            frozen=froze,
            pinned=pinned,
            stops=tuple(map(datetime.fromisoformat, decided["stops"])),
            deciders=tuple(map(str, decided["by"])),
        )


@dataclass(frozen=True, eq=False)
class _Laid:
    """What was read of the objects of a commit and those before it: the next state begins here."""

    number: int
    base: Rows
    ahead: Rows


class Chain:
    """Of one version of one recommender."""

    def __init__(
        self,
        store: Store,
        name: str,
        version: str,
        *,
        width: int | None = None,
        start: int = 0,
        trust: Trust | None = None,
        keep: int = KEPT,
        beat: Callable[[], None] = lambda: None,
    ):
        """
        Args:
            store: Where it lies.
            name: Of the recommender.
            version: Its base.
            width: D, of the item vectors, which what is read must have; None takes any.
            start: Offset of the last record of the event log that the version was trained on; who only looks at commits
                need not know it.
            trust: Who must have signed the entries; as the environment says where not given.
            keep: Commits that stay in memory, the last ones.
            beat: Called again and again while a long chain is read.
        """
        self._keep = keep
        self._beat = beat
        self._trust = trust or Trust.configured()
        self._store = store
        self._name = name
        self._version = version
        self._width = width
        self._start = start
        self._log = Log(store, layout.online_commits(name, version))
        self.windows = Windows(store, name, version)
        """Where those lie that entries name."""

        self._known = _Known()
        self._laid: _Laid | None = None

    @property
    def commits(self) -> Commits:
        """As they were last read.

        Raises (whoever asks for one that is no longer in memory):
            StoreUnavailable: the store does not answer, or the entry is damaged or missing.
        """
        return Commits(self._at, range(self.head))

    def refresh(self) -> Commits:
        """Reads what is new; returns it. Who knows nothing yet begins at the last full commit that says what had been decided
        before it; the numbers of all are looked at.

        Raises:
            StoreUnavailable: the store does not answer, or an entry is damaged.
            ArtifactUnsigned, KeyUntrusted, SignatureInvalid, ArtifactForeign, ArtifactCorrupt: an entry is not signed as is
                asked for; nothing of what is new is taken.
        """
        before = self._known
        known, new = (before, map(self._commit, self._log.since(before.head))) if before.head else self._begun()
        last = deque(before.last, maxlen=self._keep)
        for commit in new:
            self._beat()
            if commit.number != known.head + 1:
                raise self._missing()
            known = known.after(commit)
            last.append(commit)
        if known.head != before.head:
            self._known = replace(known, last=tuple(last))
        return Commits(self._at, range(before.head, known.head))

    @property
    def head(self) -> int:
        """Number of the last commit that is known; 0 for none."""
        return self._known.head

    @property
    def frozen(self) -> Commit | None:
        """Why nothing is learned now; None where nothing stops it."""
        return self._known.frozen

    @property
    def stops(self) -> tuple[datetime, ...]:
        """When guardrails stopped it, the last times."""
        return self._known.stops

    @property
    def deciders(self) -> tuple[str, ...]:
        """Who wrote the last decisions, guardrails among them; DECIDERS_KEPT at most."""
        return self._known.deciders

    @property
    def failed(self) -> tuple[int, ...]:
        """Offsets of the last records that the learner failed at."""
        return self.commits[-1].failed if self.head else ()

    @property
    def served(self) -> int:
        """The commit that predictors answer with: the pinned one, else the last."""
        known = self._known
        return known.head if known.pinned is None else known.pinned

    @property
    def window(self) -> Window | None:
        """The last one that an entry names."""
        return self.commits[-1].window if self.head else None

    def offset_of(self, number: int) -> int:
        """The last record of the event log that was read for a commit; 0 is the version as it was trained."""
        return self.commits[number - 1].offset if number else self._start

    def state(self, number: int | None = None) -> State:
        """What the chain comes to at a commit, the last one where none is named. The newest is kept, and what comes later is
        laid over it: who follows a chain reads each object once.

        Raises:
            NotFound: there is no such commit.
            ArtifactCorrupt: what a commit names is not there, or was altered.
        """
        number = self.head if number is None else number
        if not 0 <= number <= self.head:
            raise NotFound(f"{self._name} {self._version} has no commit {number}: its commits are 0 to {self.head}.")
        base, ahead = Rows.none(self._width or 0), Rows.none(self._width or 0)
        laid, made_of = self._laid, list[Commit]()
        for commit in reversed(self.commits[:number]):
            if laid is not None and commit.number == laid.number:
                base, ahead = laid.base, laid.ahead
                break
            made_of.append(commit)
            if commit.full:
                break
        newer = list(self._each_rows([commit.digest for commit in reversed(made_of) if commit.digest is not None]))
        base = base.updated(*(rows for rows, _ in newer))  # a full one is the first of them
        ahead = newer[-1][1] if newer else ahead
        if number and (laid is None or number > laid.number):
            self._laid = _Laid(number, base, ahead)
        at = self.commits[number - 1] if number else None
        return State(
            number=number,
            offset=at.offset if at else self._start,
            totals=at.totals if at else Totals(),
            rows=base.updated(ahead),
            resumes=at.resumes if at else Standing(offset=self._start, totals=Totals(), block=Block()),
            base=base,
        )

    def append(
        self,
        action: Action,
        *,
        by: str,
        reason: str,
        offset: int,
        totals: Totals,
        resumes: Standing | None = None,
        rows: Rows | None = None,
        ahead: Rows | None = None,
        full: bool = False,
        to: int | None = None,
        failed: Sequence[int] | None = None,
        record: str | None = None,
        window: Window | None = None,
    ) -> Commit:
        """Writes the next entry, what it names first; durable on return. Without ``resumes`` a batch begins behind it;
        without ``failed`` and ``window`` the last entry's go on.

        Raises:
            AlreadyExists: somebody else wrote one since :meth:`refresh`.
            KeyUnusable, KeyUntrusted: signatures are asked for, and nobody here can give one; nothing was written.
        """
        signer, named = signer_for(self._trust), None
        if rows is not None:
            body = to_bytes(rows, ahead)
            named = hashlib.sha256(body).hexdigest()
            key = layout.online_object(self._name, self._version, named)
            try:
                self._store.put_if_absent(key, body)
            except AlreadyExists:  # the same bytes, unless the power went while they were written
                if not self._store.holds(key, body):
                    self._store.put(key, body)
        if failed is None:
            failed = self.failed
        window = window or self.window
        entry: dict[str, Any] = {
            "format": FORMAT,
            "action": action,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "by": by,
            "reason": reason,
            "offset": offset,
            "totals": vars(totals),
            "resumes": (resumes or Standing(offset=offset, totals=totals, block=Block())).to_json(),
            "object": named,
            "full": full,
            "to": to,
            "failed": list(failed)[-FAILED_KEPT:],
            "record": record,
            "window": window and window.to_json(),
        }
        if full:
            entry[DECIDED] = self._known.decided()
        if signer is not None:
            entry[SIGNATURE] = signed(self._statement(entry | {"number": self.head + 1}), signer).decode()
        number = self._log.append(entry, after=self.head)
        commit = self._commit(entry | {"number": number})
        known = self._known
        self._known = replace(known.after(commit), last=(*known.last, commit)[-self._keep :])
        return commit

    def decide(self, action: Action, *, by: str, reason: str, to: int | None = None) -> Commit:
        """What a person decides: ``rollback`` and ``pin`` to a commit, ``unpin``, ``freeze``, ``resume``. A learner at work
        takes it up at its next look.

        Raises:
            NotFound: there is no such commit.
            AlreadyExists: other writers were first again and again.
        """
        for _ in range(ATTEMPTS):
            self.refresh()
            last = self.commits[-1] if self.commits else None
            target = self.state(to) if to is not None else None
            rows = target.rows if target is not None and action != "pin" else None
            try:
                return self.append(
                    action, by=by, reason=reason, to=to, rows=rows, full=rows is not None,
                    offset=last.offset if last else self._start,
                    totals=last.totals if last else Totals(),
                    resumes=last.resumes if last and rows is None else None,
                    record=last.record if last else None,
                )  # fmt: skip
            except AlreadyExists:
                continue
        raise AlreadyExists(f"Online commits of {self._name!r}: other writers were first {ATTEMPTS} times. Try again.")

    def _begun(self) -> tuple[_Known, Iterator[Commit]]:
        """Where who knows nothing begins, and the commits from there on.

        Those of a chain that no full commit says it of are read from the first one on, one by one.
        """
        numbers = self._log.numbers()
        if numbers != list(range(1, len(numbers) + 1)):
            raise self._missing()
        known, read = _Known(), dict[int, Commit]()
        for number, entry in zip(reversed(numbers), self._log.those(reversed(numbers)), strict=True):
            self._beat()
            commit = read[number] = self._commit(entry)
            if commit.full and entry.get(DECIDED) is not None:
                try:
                    known = _Known.before(number, entry[DECIDED], read=self._read)
                except (KeyError, TypeError, ValueError) as error:
                    raise self._damaged(number, error) from error
                break
            if commit.full and len(read) >= KEPT:  # written by earlier versions, and so are those before it
                break
        return known, (read.pop(n) if n in read else self._read(n) for n in range(known.head + 1, len(numbers) + 1))

    def _at(self, number: int) -> Commit:
        """One of those that are known."""
        known = self._known
        place = number - known.head - 1
        return known.last[place] if -place <= len(known.last) else self._read(number)

    def _read(self, number: int) -> Commit:
        return self._commit(self._log.entry(number))

    def _missing(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._store.url(self._log.key)}: an entry is missing. Bring it back.")

    def _damaged(self, number: object, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._store.url(self._log.key)}: entry {number} is damaged ({error!r}). Bring it back."
        )

    def _each_rows(self, digests: Sequence[str]) -> Iterator[tuple[Rows, Rows]]:
        """What each of these commits holds, and what lies ahead of it."""
        keys = [layout.online_object(self._name, self._version, digest) for digest in digests]
        bodies = self._store.get_each(keys)
        for named, what in zip(digests, map(self._store.url, keys), strict=True):
            try:
                body = next(bodies)
            except NotFound:
                raise ArtifactCorrupt(f"{what}, which a commit names, is not there. {REMEDY}") from None
            if hashlib.sha256(body).hexdigest() != named:
                raise ArtifactCorrupt(f"{what} was altered. {REMEDY}")
            rows, ahead = both_from_bytes(body, width=self._width, what=what)
            yield rows, ahead or Rows.none(self._width or 0)

    def _statement(self, entry: dict[str, Any]) -> Statement:
        """What a signature of an entry vouches for: all of it, at its place in this chain."""
        content = {key: value for key, value in entry.items() if key != SIGNATURE}
        body = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        digests = {f"commit-{entry.get('number')}": digest(body)}
        return Statement(kind="commit", recommender=self._name, version=self._version, digests=digests)

    def _commit(self, entry: dict[str, Any]) -> Commit:
        envelope = entry.get(SIGNATURE)
        where = f"{self._store.url(self._log.key)}: entry {entry.get('number')}"
        self._trust.check(envelope.encode() if isinstance(envelope, str) else None, self._statement(entry), where)
        format = entry.get("format", 1)
        if format not in range(1, FORMAT + 1):
            raise ArtifactForeign(
                f"{where} is of format {format!r}; this shoploop reads those up to {FORMAT}. Use the shoploop that wrote it, "
                "or a newer one; nothing was changed."
            )
        try:
            if entry["action"] not in ACTIONS:
                raise ValueError(f"{entry['action']} is no action")
            return Commit(
                number=int(entry["number"]),
                action=entry["action"],
                time=str(entry["time"]),
                by=str(entry["by"]),
                reason=str(entry["reason"]),
                offset=int(entry["offset"]),
                totals=Totals(**entry["totals"]),
                resumes=Standing.from_json(entry["resumes"]),
                digest=entry["object"],
                full=bool(entry["full"]),
                to=entry["to"],
                failed=tuple(map(int, entry.get("failed", ()))),
                record=None if entry.get("record") is None else str(entry["record"]),
                window=Window.from_json(entry["window"]) if entry.get("window") else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(entry.get("number"), error) from error


def mark(id: str) -> str:
    """Of a record, by its id, which itself must not outlive it."""
    return hashlib.sha256(id.encode()).hexdigest()[:MARK_CHARACTERS]


def hold_alone(new: Sequence[Commit]) -> None:
    """Holds that none of what others wrote was learned.

    Raises:
        ChainTaken: somebody does.
    """
    for commit in new:
        if commit.action == "learn":
            raise ChainTaken(
                f"{commit.by} has written commit {commit.number} of this chain at {commit.time}: another learner is at "
                "work. One learns a version; end the other, or this."
            )
