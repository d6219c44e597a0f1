"""From the store to the predictors of one machine: who serves and who is the candidate, fetched, verified, then pointed to.

A version is swapped in place where it was packaged by the same serving code as the process that answers; one of other code is
told of, and serves after a restart. It also keeps a candidate's steps, and ends a candidacy that a predictor gave up.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from shoploop.errors import NotFound, ShoploopError
from shoploop.hints import command
from shoploop.packaging.bento import fetch_bento
from shoploop.packaging.fetch import RANKER, ranker_folder
from shoploop.predictor.lineup import Lineup, Packaged, Returned
from shoploop.store import Store
from shoploop.versions import candidacy, promotions
from shoploop.versions.signing import Trust


class Learning(Protocol):
    """What is used of :class:`shoploop.packaging.learning.Learners`."""

    def begin(self, version: str, *, beside: str | None = None) -> Path:
        """Lets a version learn; returns the folder that its predictors follow."""

    def is_level(self, version: str, serving: str) -> bool:
        """Whether a version has learned all that another answers with."""

    def frozen(self, version: str) -> str | None:
        """Why it learns no more."""

    def keep(self, *versions: str | None) -> None:
        """Ends the learning of all others."""


LOOK_SECONDS = 0.2
AWAY_SECONDS = 1.0
"""Until the next look at a store that did not answer."""

BY = "shoploop serve"


def code_of(bento: Path) -> str:
    """What tells the serving code of an unpacked Bento from another: a digest of all but its ranker, and of what it needs
    installed."""
    found = hashlib.sha256()
    for part in (bento / "src", bento / "env" / "python"):
        for path in sorted(part.rglob("*")):
            inside = path.relative_to(bento)
            if not path.is_file() or inside.is_relative_to(RANKER) or "__pycache__" in inside.parts:
                continue
            found.update(f"{inside.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


class LineupKeeper:
    """Writes which versions answer into a folder, whenever the store says something else."""

    def __init__(
        self,
        store: Store,
        name: str,
        folder: Path,
        *,
        version: str,
        bento: Path,
        cache: Path,
        trust: Trust,
        learning: Learning | None = None,
        tell: Callable[[str], None] = lambda line: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        """
        Args:
            store: Where promotions, candidates and Bentos lie.
            name: Of the recommender.
            folder: That predictors look at.
            version: That they were started with.
            bento: Which was unpacked for that: its code is what runs.
            cache: For other unpacked Bentos.
            trust: Who must have signed them.
            learning: Lets versions learn from what shoppers do; None: they are served as they were trained.
            tell: Is told of each change, for people.
            clock: The time, UTC.
        """
        self._store, self._name, self._folder = store, name, folder
        self._cache, self._trust, self._tell, self._clock = cache, trust, tell, clock
        self._learning = learning
        self._told_of_waiting = ""
        self._code = code_of(bento)
        self._unfit: set[str] = set()
        self._promotions: list[promotions.Promotion] = []
        self._serving = version
        self._candidacy: candidacy.Candidacy | None = None
        self._candidacies = 0
        self._ended = 0
        self._written: Lineup | None = None
        self._lineup = Lineup(stable=Packaged(version=version, folder=str(ranker_folder(bento))))

    def look(self) -> bool:
        """Writes what is new; returns whether there was something.

        Raises:
            ShoploopError: the store does not answer, or a version must not be served; who serves goes on.
        """
        read = self._promotions[-1].number if self._promotions else 0
        if new := promotions.since(self._store, self._name, read):
            self._promotions += new
            self._serving = new[-1].version
        if entries := candidacy.since(self._store, self._name, self._candidacies):
            self._candidacy, self._candidacies = entries[-1], entries[-1].number
        self._end_returned()
        lineup = self._with_candidate(replace(self._lineup, stable=self._stable()))
        if lineup == self._written:
            return False
        lineup.write(self._folder)
        self._say(lineup)
        self._lineup = self._written = lineup
        if self._learning is not None:
            candidate = lineup.candidate.version if lineup.candidate else None
            self._learning.keep(lineup.stable.version, candidate, self._serving)
        return True

    def _stable(self) -> Packaged:
        """Who serves: the promoted version, once it has learned what the one before has learned."""
        now = self._learns(self._lineup.stable)
        wanted = self._packaged(self._serving)
        if wanted is None:  # it serves after a restart, which should find it level
            if self._learning is not None:
                self._learning.begin(self._serving, beside=now.version)
            return now
        if wanted.version == now.version:
            return now
        wanted = self._learns(wanted, beside=now.version)
        returns = bool(self._promotions) and self._promotions[-1].action == "rollback"
        # whoever rolls back wants to be rid of what serves: what is still to be learned is learned then
        return wanted if returns or self._is_level(wanted.version, now.version) else now

    def _learns(self, packaged: Packaged, *, beside: str | None = None) -> Packaged:
        """The version, which learns from now on where that is wanted."""
        if self._learning is None:
            return packaged
        return replace(packaged, updates=str(self._learning.begin(packaged.version, beside=beside)))

    def _is_level(self, version: str, serving: str) -> bool:
        """Whether a version may take the place of another; tells once why not yet."""
        if self._learning is None or self._learning.is_level(version, serving):
            return True
        frozen = self._learning.frozen(version)
        line = f"{version} learns what came since its data; {serving} serves until it has caught up."
        if frozen:
            resume = command(self._store, f"online resume {self._name} --version {version}")
            line = f"{version} does not take the place of {serving}: it learns no more. {frozen} `{resume}` goes on."
        if line != self._told_of_waiting:
            self._told_of_waiting = line
            self._tell(line)
        return False

    def _with_candidate(self, lineup: Lineup) -> Lineup:
        nobody = Lineup(stable=lineup.stable)
        now = self._candidacy
        if now is None or now.number == self._ended or now.is_over(self._promotions):
            return nobody
        percent = now.percent_at(self._clock())
        if percent == candidacy.EVERYBODY and not self._is_level(now.version, lineup.stable.version):
            percent = now.steps[-1][0]
        if percent == candidacy.EVERYBODY:
            reason = "the last step of its candidacy is over"
            last = self._promotions[-1].number
            promotions.promote(
                self._store, self._name, now.version, reason=reason, by=BY, trust=self._trust, after=last
            )
            return lineup  # as it was, until the promotion is read
        packaged = self._packaged(now.version)
        if packaged is None:
            return nobody
        packaged = self._learns(packaged, beside=lineup.stable.version)
        return replace(
            lineup, candidate=packaged, candidacy=now.number, percent=percent, shadow=now.shadow, salt=now.salt
        )

    def _end_returned(self) -> None:
        """Ends the candidacy that a predictor gave up, for all predictors."""
        now, returned = self._candidacy, Returned.read(self._folder)
        if now is None or now.action == "end" or returned is None or returned.candidacy != now.number:
            return
        if self._ended == now.number:
            return
        self._ended = now.number
        self._tell(f"Candidate {returned.version} answers no more: {returned.reason}.")
        try:
            candidacy.end(self._store, self._name, reason=returned.reason, by=BY, number=now.number)
        except NotFound:
            pass  # somebody else has ended it
        except ShoploopError as error:
            logging.getLogger(__name__).warning("The candidacy ends here, and for no other predictor: %s", error)

    def _packaged(self, version: str) -> Packaged | None:
        """Fetched and verified; None where it cannot be swapped in."""
        for known in (self._lineup.stable, self._lineup.candidate):
            if known is not None and known.version == version:
                return known
        if version in self._unfit:
            return None
        bento = fetch_bento(self._store, self._name, version, self._cache, self._trust)
        if code_of(bento) != self._code:
            self._unfit.add(version)
            self._tell(
                f"{version} was packaged by other serving code than the one that answers here: it serves after a restart "
                "of `shoploop serve`."
            )
            return None
        return Packaged(version=version, folder=str(ranker_folder(bento)))

    def _say(self, lineup: Lineup) -> None:
        before = self._written or Lineup(stable=self._lineup.stable)
        if lineup.stable.version != before.stable.version:
            self._tell(f"{lineup.stable.version} serves, in place of {before.stable.version}.")
        if lineup.candidate and (lineup.candidacy, lineup.percent) != (before.candidacy, before.percent):
            share = "answers in the shadow" if lineup.shadow else f"answers {lineup.percent} % of users"
            self._tell(f"Candidate {lineup.candidate.version} {share}.")
        elif before.candidate and not lineup.candidate:
            self._tell(f"There is no candidate any more; {lineup.stable.version} answers everybody.")


def follow(keeper: LineupKeeper, stop: threading.Event) -> None:
    """Looks again and again; what goes wrong is told once."""
    told = ""
    while not stop.is_set():
        pause = LOOK_SECONDS
        try:
            keeper.look()
            told = ""
        except ShoploopError as error:
            pause = AWAY_SECONDS
            if str(error) != told:
                told = str(error)
                logging.getLogger(__name__).warning("%s Who serves goes on.", error)
        except Exception:  # a defect, which must not end the thread: nobody would be promoted any more
            pause = AWAY_SECONDS
            logging.getLogger(__name__).exception("Which versions answer cannot be told.")
        stop.wait(pause)


@contextmanager
def kept(keeper: LineupKeeper) -> Iterator[None]:
    """Keeps it in a thread while the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(keeper, stop), name="lineup", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
