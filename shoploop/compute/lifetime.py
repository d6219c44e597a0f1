"""A tree of processes that ends with the process that started it, however that one ended: by Ctrl-C, a signal or kill -9.

The tree is a process group of its own. A terminal's signals reach the starter alone, which ends the tree in order; where the
starter is killed without a word, the processes of the tree that watch it end their group. It must not know what they do.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from typing import Final

import psutil

VARIABLE: Final = "SHOPLOOP_STARTER"
"""Process id of the starter, for the processes of its tree."""

GRACE_SECONDS: Final = 5.0
"""For a process that was asked to end, before it is killed."""

LOOK_SECONDS: Final = 0.2


def named_starter() -> dict[str, str]:
    """What the environment of a tree's processes holds, so that they end with this process."""
    return {VARIABLE: str(os.getpid())}


def end_with_starter() -> None:
    """Lets this process, and its group, end when the starter that the environment names does.

    SIGTERM ends it as an error would, so that temporary folders go and work that is worth it is kept. Without the variable,
    and when it is called again, nothing happens.
    """
    if not os.environ.get(VARIABLE) or any(thread.name == VARIABLE for thread in threading.enumerate()):
        return
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_after, args=(_starter(),), name=VARIABLE, daemon=True).start()


def members(group: int) -> list[psutil.Process]:
    """The processes of a group, but not the one that it is named after."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):  # it has ended
            if process.pid != group and os.getpgid(process.pid) == group:
                found.append(process)
    return found


def signal_group(group: int, number: signal.Signals) -> None:
    """Sends a signal to all processes of a group; one that has ended already is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses where all have ended
        os.killpg(group, number)


def descendants(pid: int) -> list[psutil.Process]:
    """What a process has started, in whatever groups; none where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children(recursive=True))
    return []


def end(process: "subprocess.Popen[bytes]", *, seconds: float) -> None:
    """Asks the group that is named after the process to end; where it has not after so many seconds, kills it, with all that
    it started."""
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, None)):
        # what still works lives, perhaps, in a session of its own
        started = descendants(process.pid) if number == signal.SIGKILL else []
        signal_group(process.pid, number)
        kill(started)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def kill(processes: Iterable[psutil.Process]) -> None:
    """kill -9; one that has ended already is no error."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _end_after(starter: psutil.Process | None) -> None:
    while not _is_over(starter):
        time.sleep(LOOK_SECONDS)
    signal_group(os.getpgid(0), signal.SIGKILL)


def _starter() -> psutil.Process | None:
    """The process that the environment names; None where it has ended."""
    try:
        return psutil.Process(int(os.environ[VARIABLE]))
    except psutil.NoSuchProcess:
        return None


def _is_over(process: psutil.Process | None) -> bool:
    """Also where nobody has waited for it yet."""
    try:
        return process is None or not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def main(arguments: list[str]) -> int:
    """Runs a command that knows nothing of all this; returns its exit status.

    Args:
        arguments: A folder to remove where the starter has ended and cannot, and the command.
    """
    folder, *command = arguments
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is the command's to end; its group has the signal too
    with subprocess.Popen(command) as process:
        watch = threading.Thread(target=_end_command, args=(process, folder), daemon=True)
        watch.start()
        status = process.wait()
    if _is_over(_starter()):
        watch.join()
    return status


def _end_command(process: subprocess.Popen[bytes], folder: str) -> None:
    """Waits for the starter's end, and then ends the command in order, with what it has started in other groups."""
    starter = _starter()
    while not _is_over(starter):
        time.sleep(LOOK_SECONDS)
    started = descendants(process.pid)
    process.terminate()
    psutil.wait_procs(started, timeout=3 * GRACE_SECONDS)
    kill(started)
    process.kill()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
