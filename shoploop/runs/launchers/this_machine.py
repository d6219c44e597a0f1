"""Runs on this machine: the pipeline as a process, a thread that keeps the record, and one run at a time."""

import fcntl
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.compute.memory import PeakMemory
from shoploop.errors import DiskFull, NotFound, ShoploopError, StoreError, TooFewEvents, UserError
from shoploop.runs.finishing import break_off, finish
from shoploop.runs.launchers.launcher import Look, Progress, StepWarning
from shoploop.runs.launchers.pipeline_process import PIPELINE, PipelineProcess, remove_temporary
from shoploop.runs.planning import Plan, Run, keep_plan, make_plan, read_plan
from shoploop.runs.record import THIS_MACHINE, Failure, Journal, Record, RunState, read_record
from shoploop.runs.refusals import refuse_early
from shoploop.steps import Workspace
from shoploop.store import Store, disk, layout
from shoploop.versions.signing import Trust, signer_for

log = logging.getLogger(__name__)

NAME = THIS_MACHINE

LOOKED_AHEAD_ROWS = 200_000
"""Of a log of so many interactions or fewer it is known at once whether a run would end for want of days or users: a longer
one is seldom hopeless, and the step that would say so then says it."""

LAST_WORDS_BYTES = 65_536
"""Of a pipeline's output, where its end may say what it came of."""


class AnotherRun(UserError):
    pass


class Suspended(UserError):
    pass


class ThisMachine:
    """Carries out runs with kfp.local, a process a step."""

    name = NAME

    def __init__(self, store: Store, *, home: Path | None = None, pipeline: tuple[str, ...] = PIPELINE):
        """
        Args:
            home: Where the work lies if the store is no folder; unset, beside the user.
            pipeline: The command that carries out the due steps of a plan.
        """
        self.store, self.home, self.pipeline = store, home, pipeline
        self._going: dict[str, _Going] = {}

    def launch(self, run: Run) -> None:
        """See :class:`Launcher`.

        Raises:
            AnotherRun: a run of this recommender is going on here.
            DataUnreadable, SpecInvalid: the raw tables cannot be found.
            KeyUnusable, KeyUntrusted: a signature is required of what the run makes, and nobody here can give one.
            Suspended: spec.suspend asks for no new run.
            NotFound: the pinned version is not in the store.
        """
        refuse_unbuilt(run.recommender.spec, place="Machine")
        refuse_early(run.recommender.spec)
        if run.until is None:
            refuse_suspended(run)
            signer_for(Trust.configured(run.recommender.spec.signing))  # better now than when all is trained
        workspace = self._workspace(run)
        check_pinned(run, workspace.store)
        plan = make_plan(run, workspace)
        with _Lock(workspace) as lock:
            settle(workspace)
            if run.until is not None:
                workspace.store.delete_folder(run.key)
                shutil.rmtree(workspace.path(run.key), ignore_errors=True)
            try:
                keep_plan(plan, workspace)
                self._going[run.id] = _Going(plan, workspace, self.pipeline, lock)
            except BaseException:
                with suppress(StoreError):  # why it cannot be begun is the first error
                    workspace.store.delete(layout.run_plan(run.key))
                raise

    def look(self, run: Run) -> Look:
        if going := self._going.get(run.id):  # its record may have found no space on a disk
            alive, record = going.is_alive(), going.journal.record
            # a version that is recorded still has a page to be written
            update = {"state": "running", "failure": None} if alive else {}
            return Look.at(record.model_copy(update=update), going.progress, going.warnings)
        found = read_record(self.store, run.key, run.id)
        if not isinstance(found, Record):
            raise NotFound(f"The record of run {run.id} cannot be read: {found.why}.")
        if found.state == "running" and _Lock(self._workspace(run)).is_free():
            return Look.at(found.model_copy(update=_broken_off(found)))
        return Look.at(found)

    def cancel(self, run: Run) -> None:
        if going := self._going.get(run.id):
            going.cancel()

    def resume(self, run: Run) -> None:
        """See :class:`Launcher`.

        Raises:
            AnotherRun: a run of this recommender is going on here.
            NotFound: it was never launched.
        """
        workspace = self._workspace(run)
        with _Lock(workspace) as lock:
            plan = read_plan(run.key, workspace)
            self._going[run.id] = _Going(plan, workspace, self.pipeline, lock)

    def logs(self, run: Run) -> Iterator[str]:
        path = self._workspace(run).path(layout.run_log(run.key))
        if path.exists():
            with path.open(errors="replace") as lines:
                yield from lines

    def _workspace(self, run: Run) -> Workspace:
        return Workspace(self.store, run.name, self.home)


class _Going:
    """A run that is going on in this process."""

    def __init__(self, plan: Plan, workspace: Workspace, pipeline: tuple[str, ...], lock: "_Lock"):
        self.plan, self.workspace, self.pipeline = plan, workspace, pipeline
        self.progress: Progress | None = None
        self.warnings: tuple[StepWarning, ...] = ()
        self._failed: dict[str, Any] | None = None
        self._hopeless: Failure | None = None
        self._running: str | None = None
        self._cancelled = threading.Event()
        self._process: PipelineProcess | None = None
        self._starting = threading.Lock()
        self._log = workspace.path(layout.run_log(plan.run.key))
        self.journal = Journal.begin(workspace, plan, launcher=NAME)
        self.lock = lock.handed_on()  # until here it is the launcher's to let go, where the run cannot be begun
        self._thread = threading.Thread(target=self._carry_out, name=f"run-{plan.run.id}", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def cancel(self) -> None:
        """Returns when the run has ended."""
        with self._starting:
            self._cancelled.set()
        if self._process:
            self._process.end()
        self._thread.join()

    def _carry_out(self) -> None:
        try:
            failure = self._steps() if self.plan.due else None
            if self._cancelled.is_set() and failure is not None:
                self._break_off("cancelled")
            elif failure is not None:
                self._break_off("failed", failure, left=Path(self._failed["out"]) if self._failed else None)
            elif self.plan.run.until is not None:
                self.journal.end("done")
            else:
                trust = Trust.configured(self.plan.run.recommender.spec.signing)
                finish(self.workspace, self.plan, self.journal, promotes=True, trust=trust)
        except Exception as error:
            self._broke(error)
        finally:
            remove_temporary(self.workspace)
            self.lock.close()

    def _break_off(self, state: RunState, failure: Failure | None = None, *, left: Path | None = None) -> None:
        remove_temporary(self.workspace)  # a full disk has some space for the record then
        break_off(self.workspace, self.plan, self.journal, state, failure, left=left)

    def _broke(self, error: Exception) -> None:
        """Something other than a step failed, such as the store."""
        home = self.workspace.home
        if disk.is_full(error) and not isinstance(error, DiskFull):
            error = disk.full_error(f"Run {self.plan.run.id}", home)
        if isinstance(error, ShoploopError):
            failure = Failure(message=str(error), exit_code=error.exit_code)
        else:
            import traceback

            with self._log.open("a") as log:
                traceback.print_exception(error, file=log)
            what = f"{type(error).__name__}: {error}"
            failure = Failure(message=f"The run broke off with {what}. This is a bug; see {self._log}")
        self._break_off("failed", failure)

    def _steps(self) -> Failure | None:
        """Carries out what is due; returns why that failed, if it did."""
        with self._starting:
            if self._cancelled.is_set():
                return Failure(message="It was cancelled.")
            if "load_data" not in self.plan.due:
                self._look_ahead()
            if self._hopeless:
                return self._ended_ahead(self._hopeless)
            self._process = PipelineProcess(self.plan, self.workspace, self._log, self.pipeline, self.lock)
        with PeakMemory() as memory:
            code = self._process.follow(lambda event: self._hear(event, memory))
            if self._running:
                self.journal.step(self._running, peak_rss_bytes=memory.taken())
        if self._hopeless and not self._failed:
            return self._ended_ahead(self._hopeless)
        if self._failed:
            message = self._failed["message"]
            if "traceback" in self._failed:
                what = f"{self._failed['error']}: {message}"
                message = f"Step {self._failed['step']} broke off with {what}. This is a bug; see {self._log}"
            return Failure(step=self._failed["step"], message=message, exit_code=self._failed["exit_code"])
        if code == 0 and (left := self.plan.seen_again(self.workspace).due):
            message = f"The pipeline ended well and left out {', '.join(left)}. This is a bug; see {self._log}"
            return Failure(message=message)
        if code:
            self._cancelled.wait(1)  # somebody may have ended the pipeline and this run's follower in one go
            what = f"Step {self._running}" if self._running else "The pipeline"
            words = self._last_words()
            if disk.is_as_good_as_full(self.workspace.home) or disk.says_full(words):
                return _failure(disk.full_error(what, self.workspace.home, of=words), step=self._running)
            message = f"{what} ended without a word (exit {code}; out of memory?). Its output: {self._log}"
            return Failure(step=self._running, message=message)
        return None

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - LAST_WORDS_BYTES))
            return log.read().decode(errors="replace")

    def _hear(self, event: dict[str, Any], memory: PeakMemory) -> None:
        match event["kind"]:
            case "started":
                memory.taken()
                self._running = event["step"]
                self.journal.step(event["step"], state="running")
            case "progress" if self._running:
                self.progress = Progress(
                    step=self._running, done=event["done"], total=event["total"], what=event["what"]
                )
            case "warning":
                self.warnings += (StepWarning(step=self._running, message=event["message"]),)
            case "finished":
                self._running = self.progress = None
                self.journal.step(event["step"], state="done", seconds=event["seconds"], peak_rss_bytes=memory.taken())
                if event["step"] == "load_data":
                    self._look_ahead()
            case "failed":
                self._running, self._failed = None, event
                self.journal.step(event["step"], state="failed", error=event["message"], peak_rss_bytes=memory.taken())

    def _ended_ahead(self, failure: Failure) -> Failure:
        if self._running:  # it was ended before its turn, and has nothing to say
            self.journal.step(self._running, state="waiting")
        self._running = None
        assert failure.step is not None
        self.journal.step(failure.step, state="failed", error=failure.message)
        return failure

    def _look_ahead(self) -> None:
        """Ends the run once its tables are there where the step of features would refuse them: others would be in vain."""
        from shoploop.features.chosen import choose_days

        entry = self.plan.seen_again(self.workspace).found.get("load_data")
        if entry is None or "materialize_features" not in self.plan.due:
            return
        data = self.workspace.output(entry)
        try:
            rows = json.loads((data / "load.json").read_text())["tables"]["interactions"]["rows"]
            if rows <= LOOKED_AHEAD_ROWS:
                choose_days(data, self.plan.run.recommender.spec.training)
        except TooFewEvents as error:
            self._hopeless = _failure(error, step="materialize_features")
            if self._process is not None:
                self._process.ask_to_end()
        except Exception:  # whatever it is, the step itself says it best
            log.debug("It is not known yet whether run %s has enough.", self.plan.run.id, exc_info=True)


def _failure(error: ShoploopError, *, step: str | None) -> Failure:
    return Failure(step=step, message=str(error), exit_code=error.exit_code)


def refuse_suspended(run: Run) -> None:
    """Makes sure that the spec lets a run begin.

    Raises:
        Suspended: it does not.
    """
    if run.recommender.spec.suspend:
        raise Suspended(
            f"{run.name!r} is suspended (spec.suspend: true): no run is begun and no version promoted. What serves goes on "
            "serving. Set spec.suspend to false to run."
        )


def check_pinned(run: Run, store: Store) -> None:
    """Makes sure that the version that is to serve whatever is trained can serve.

    Raises:
        NotFound: it is not in the store.
    """
    from shoploop.versions import promotions

    pinned = run.recommender.spec.serving.pinned_version
    if pinned and pinned not in (known := promotions.version_ids(store, run.name)):
        raise NotFound(
            f"spec.serving.pinnedVersion names {pinned}, which is not in {store.uri}. There is: "
            f"{', '.join(known) or 'no version yet'}. Name one of them, or leave the field out."
        )


def settle(workspace: Workspace) -> None:
    """Ends the records of runs that were killed on this machine; who holds the lock knows that none of them goes on."""
    store = workspace.store
    for name in store.folders(layout.runs(workspace.name)):
        key = layout.run(workspace.name, name)
        if not workspace.path(layout.run_record(key)).exists():  # another machine's
            continue
        with suppress(NotFound):
            record = read_record(store, key, name)
            if isinstance(record, Record) and (record.launcher, record.state) == (NAME, "running"):
                settled = record.model_copy(update=_broken_off(record))
                store.put(layout.run_record(key), settled.model_dump_json(indent=1).encode())


def is_broken_off(store: Store, record: Record) -> bool:
    """Whether nobody carries out any more what is recorded as going on on this machine."""
    workspace = Workspace(store, record.name)
    here = workspace.path(layout.run_record(layout.run(record.name, record.run))).exists()
    return here and (record.launcher, record.state) == (NAME, "running") and _Lock(workspace).is_free()


def _broken_off(record: Record) -> dict[str, Any]:
    message = f"Run {record.run} was broken off without a word. What is done is kept; run it again to go on."
    return {"state": "failed", "failure": Failure(message=message)}


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """No run of this recommender goes on here meanwhile.

    Raises:
        AnotherRun: one does.
    """
    with _Lock(workspace):
        yield


class _Lock:
    """One run of a recommender at a time on one home: they would prune each other's work."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.path = workspace.path(layout.work(workspace.name)) / "lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> "_Lock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("w+")  # the pipeline's standard input, too
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise AnotherRun(
                f"Another run of {self.workspace.name!r} is going on in {self.workspace.home}. Wait for it to end, or "
                "name another store with --store."
            ) from error
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def handed_on(self) -> IO[str]:
        """The lock itself, which from here on is the caller's to close."""
        file, self._file = self._file, None
        assert file is not None
        return file

    def is_free(self) -> bool:
        """Whether nobody holds it; asking leaves no trace."""
        try:
            with self.path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
