"""From the store to the predictors of one machine: who serves and who is the candidate, fetched, verified, then pointed to.

A version is swapped in place where it was packaged by the same serving code as the process that answers; one of other code is
told of, and serves after a restart. It also keeps a candidate's steps, and ends a candidacy that a predictor gave up, unless
somebody else is to write the logs: on a cluster the operator, and pods only read them.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from shoploop.api.predictor_state import CandidateState, Ended, PredictorState, Waiting
from shoploop.errors import NotFound, ShoploopError
from shoploop.hints import command
from shoploop.packaging.bento import fetch_bento
from shoploop.packaging.fetch import ranker_folder
from shoploop.packaging.serving_code import code_of
from shoploop.predictor.lineup import Lineup, Packaged, Returned, Tally
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
KEPT = 4
"""Unpacked versions that are known without asking the store again: who served lately may serve again at once."""


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
        base: str | None = None,
        cache: Path,
        trust: Trust,
        learning: Learning | None = None,
        writes: bool = True,
        prepare: Callable[[Path], None] = lambda ranker: None,
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
            base: That their process was started with, where that is another.
            cache: For other unpacked Bentos.
            trust: Who must have signed them.
            learning: Lets versions learn from what shoppers do; None: they are served as they were trained.
            writes: Whether it writes what follows by itself into the logs; else :meth:`state` tells it.
            prepare: Called with the folder of a ranker that was fetched, before predictors are told of it.
            tell: Is told of each change, for people.
            clock: The time, UTC.
        """
        self._store, self._name, self._folder = store, name, folder
        self._cache, self._trust, self._tell, self._clock = cache, trust, tell, clock
        self._learning, self._writes, self._prepare = learning, writes, prepare
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
        self._base = base or version
        self._known = {version: self._lineup.stable}
        self._waiting: Waiting | None = None
        self._over = False
        self.problem: str | None = None
        """Why the last look failed; None where it did not."""

    def knows(self, version: str, ranker: Path) -> None:
        """Takes a version's ranker from a folder that is there, in place of the store."""
        self._known.setdefault(version, Packaged(version=version, folder=str(ranker)))

    def look(self) -> bool:
        """Writes what is new; returns whether there was something.

        Raises:
            ShoploopError: the store does not answer, or a version must not be served; who serves goes on. Where it is the
                candidate that cannot be had, who is to serve does all the same.
            OSError: likewise, as where a disk is full.
        """
        read = self._promotions[-1].number if self._promotions else 0
        if new := promotions.since(self._store, self._name, read):
            self._promotions += new
            self._serving = new[-1].version
        if entries := candidacy.since(self._store, self._name, self._candidacies):
            self._candidacy, self._candidacies = entries[-1], entries[-1].number
        self._end_returned()
        self._waiting = None
        lineup = replace(self._lineup, stable=self._stable())
        try:
            lineup = self._with_candidate(lineup)
        except (ShoploopError, OSError):
            self._point_to(self._without_new_candidate(lineup))
            raise
        return self._point_to(lineup)

    def _without_new_candidate(self, lineup: Lineup) -> Lineup:
        """Where something is wrong with the candidate: who answers beside the stable version already goes on."""
        known = self._candidacy is not None and self._candidacy.number == lineup.candidacy
        return lineup if known and lineup.candidate else Lineup(stable=lineup.stable)

    def _point_to(self, lineup: Lineup) -> bool:
        """Tells predictors who answers; returns whether that is new."""
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
            self._waiting = Waiting(code="OtherCode", message=f"{self._serving} was packaged by other serving code.")
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
        if version == self._serving:
            self._waiting = Waiting(code="LearningStopped" if frozen else "CatchingUp", message=line)
        if line != self._told_of_waiting:
            self._told_of_waiting = line
            self._tell(line)
        return False

    def _with_candidate(self, lineup: Lineup) -> Lineup:
        nobody = Lineup(stable=lineup.stable)
        now, self._over = self._candidacy, False
        if now is None or now.number == self._ended or now.is_over(self._promotions):
            return nobody
        percent = now.percent_at(self._clock())
        if percent == candidacy.EVERYBODY and not self._is_level(now.version, lineup.stable.version):
            percent = now.steps[-1][0]
        if percent == candidacy.EVERYBODY and not self._writes:
            self._over, percent = True, now.steps[-1][0]
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
        if not self._writes:
            return
        try:
            candidacy.end(self._store, self._name, reason=returned.reason, by=BY, number=now.number)
        except NotFound:
            pass  # somebody else has ended it
        except ShoploopError as error:
            logging.getLogger(__name__).warning("The candidacy ends here, and for no other predictor: %s", error)

    def _packaged(self, version: str) -> Packaged | None:
        """Fetched and verified; None where it cannot be swapped in."""
        if version in self._known:
            return self._known[version]
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
        self._prepare(ranker_folder(bento))
        packaged = Packaged(version=version, folder=str(ranker_folder(bento)))
        stay = [self._base, self._lineup.stable.version, *([c.version] if (c := self._lineup.candidate) else [])]
        older = [known for known in self._known if known not in stay]
        for known in older[: max(len(self._known) - KEPT + 1, 0)]:
            del self._known[known]
        self._known[version] = packaged
        return packaged

    @property
    def unpacked(self) -> set[Path]:
        """Folders of rankers that predictors are told of, or may be told of at once."""
        return {Path(known.folder) for known in self._known.values()}

    def state(self) -> PredictorState:
        """Who answers here, as of the last look."""
        last = self._promotions[-1] if self._promotions else None
        waiting = self._waiting
        serves = self._lineup.stable.version
        if self.problem and waiting is None and last is not None and last.version != serves:
            waiting = Waiting(code="Refused", message=self.problem)
        return PredictorState(
            base=self._base,
            stable=serves,
            promoted=last.version if last else None,
            promotions=last.number if last else 0,
            waiting=waiting,
            candidate=self._candidate_state(),
            ended=self._ended_state(),
            problem=self.problem,
        )

    def _candidate_state(self) -> CandidateState | None:
        now = self._candidacy
        if now is None or now.is_over(self._promotions):
            return None
        at_work, returned = self._lineup.candidate, Returned.read(self._folder)
        tally = Tally.read(self._folder)
        counts = tally if tally is not None and tally.candidacy == now.number else Tally(candidacy=now.number)
        gave_up = returned.reason if returned is not None and returned.candidacy == now.number else None
        percent = min(now.percent_at(self._clock()), now.steps[-1][0] if now.steps else candidacy.EVERYBODY)
        return CandidateState(
            version=now.version,
            number=now.number,
            percent=percent,
            shadow=now.shadow,
            answers=at_work is not None and at_work.version == now.version and gave_up is None,
            over=self._over,
            returned=gave_up,
            given=counts.given,
            failed=counts.failed,
            different=counts.different,
        )

    def _ended_state(self) -> Ended | None:
        now = self._candidacy
        if now is None or now.action != "end":
            return None
        return Ended(version=now.version, number=now.number, reason=now.reason, by=now.by)

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
            told, keeper.problem = "", None
        except (ShoploopError, OSError) as error:  # a full disk, too
            pause, keeper.problem = AWAY_SECONDS, str(error)[:4000]
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
