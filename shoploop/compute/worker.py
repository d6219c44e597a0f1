"""A process that carries out named jobs, one after the other, and ends with the process that started it.

``python -m MODULE FOLDER`` is such a process where MODULE calls :func:`work`. The name of a job comes as a line on its
input and goes back as a line on its output when the job is done; what a job needs and makes lies in files of FOLDER. A job
that fails ends the process. It must not know what the jobs are.
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from shoploop import progress
from shoploop.errors import ShoploopError

NOT_INHERITED: Final = (progress.VARIABLE, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Variables: it reports no progress of its own, and is none of torchrun's processes."""


class WorkerEnded(ShoploopError):
    """A worker ended before its job was done."""


class Worker:
    """The process as whoever started it sees it; left as a context, it is ended."""

    def __init__(self, module: str, folder: Path, *, log: Path):
        """Starts the process.

        Args:
            module: Its main module, which calls :func:`work`.
            folder: Where its jobs' files lie.
            log: File for what it prints; it is written anew.
        """
        environment = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment,
            )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def begin(self, job: str) -> None:
        """Asks for a job; :meth:`finish` waits for it."""
        jobs = self._process.stdin
        assert jobs is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended, or was ended by another thread: finish says so
            jobs.write(f"{job}\n".encode())
            jobs.flush()

    def finish(self, job: str) -> None:
        """Returns when the job that was begun is done.

        Raises:
            WorkerEnded: with exit code and last printed line.
        """
        done = self._process.stdout
        assert done is not None
        with contextlib.suppress(ValueError):
            if done.readline().decode().strip() == job:
                return
        code = self._process.wait()
        printed = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
        last = printed.splitlines()[-1] if printed else "nothing was printed"
        raise WorkerEnded(f"The process for {job} ended with exit {code}: {last}")

    def carry_out(self, job: str) -> None:
        """:meth:`begin` and :meth:`finish`."""
        self.begin(job)
        self.finish(job)

    def end(self) -> None:
        """Kills the process, also amid a job."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def work(carry_out: Callable[[Path, str], None]) -> None:
    """What the main module of a worker calls: carries out what comes, and ends at once when its input does.

    The input ends when the process that asked is no more, so a job is ended amid its work as well.

    Args:
        carry_out: Called with the folder and the name of each job.
    """
    folder, jobs = Path(sys.argv[1]), queue.SimpleQueue[str]()
    done = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer

    def listen() -> None:
        with open(0, "rb", buffering=0, closefd=False) as asked:  # sys.stdin's lock would break this process's own end
            for line in asked:
                jobs.put(line.decode().strip())
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        job = jobs.get()
        carry_out(folder, job)
        print(job, file=done, flush=True)
