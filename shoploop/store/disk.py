"""Files and folders of this machine that come into place as a whole: written aside, made durable, renamed; and full disks.

Whoever is killed amid a write leaves what was there before, and beside it a file or folder whose name :func:`is_aside`
knows. Every such write, hard link and digest of the house is made here. It must not know what the bytes mean.
"""

import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from shoploop.errors import DiskFull
from shoploop.exits import OF_THE_MACHINE

SUFFIX: Final = ".part"

ABANDONED_SECONDS: Final = 86_400
"""What lies aside and has not been touched for so long is nobody's any more: the next write of the same name removes it."""

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How a system says that no more can be written: no space, a quota, a limit on the size of a file."""

FULL_TEXTS: Final = {
    os.strerror(errno.ENOSPC): errno.ENOSPC,
    os.strerror(errno.EDQUOT): errno.EDQUOT,
    "database or disk is full": errno.ENOSPC,
}
"""How libraries say it that raise errors of their own; the last is SQLite's. "File too large" is none of these texts: a
server says so of what it was sent."""

NUMBERED: Final = re.compile(r"\[Errno (\d+)\]|\(os error (\d+)\)")
"""How Python, and libraries in Rust, write the system's number into the text of an error."""

AS_GOOD_AS_FULL_BYTES: Final = 2**20
"""With less left, an error that does not say what it is of is taken for this."""


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for a writer that wants a path; what lies there takes its place when the block ends.

    An error in the block leaves ``path`` as it was. Durable on return.

    Raises:
        FileNotFoundError: nothing was written, or the folder is not there.
    """
    _remove_abandoned(path)
    aside = _aside(path)
    try:
        yield aside
        fsync(aside)
        aside.replace(path)
        fsync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """As :func:`whole_path`, for a writer that wants an open file."""
    with whole_path(path) as aside, aside.open("wb") as file:
        yield file


def write_bytes(path: Path, data: bytes) -> None:
    """A whole file of these bytes, durable on return."""
    with whole_file(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """A whole file of this text in UTF-8, durable on return."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, *, sort_keys: bool = False) -> None:
    """A whole file of JSON, durable on return; where a number is NaN or infinite it says null."""
    text = json.dumps(_finite(value), indent=1, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A new, empty folder beside ``folder`` that takes its place when the block ends without an error; durable on return.

    Args:
        folder: Folders above it are made.
        replace: A folder that is there makes room: for a moment there is none, never a part of one. Otherwise it
            stays, because another process has put the same there first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    aside, old = _aside(folder), _aside(folder)
    aside.mkdir()
    try:
        yield aside
        for path in (*aside.rglob("*"), aside):
            fsync(path)
        _into_place(aside, folder, old if replace else None)
        fsync(folder.parent)
    finally:
        for left in (aside, old):
            shutil.rmtree(left, ignore_errors=True)


def _into_place(aside: Path, folder: Path, old: Path | None) -> None:
    if old and folder.is_dir():
        folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        if old and old.is_dir():
            old.rename(folder)
        if old or not folder.is_dir():
            raise


def link_file(source: Path, target: Path) -> None:
    """``target`` becomes a second name of the same bytes, or a copy where the file system knows no such thing."""
    with whole_path(target) as aside:
        try:
            os.link(source, aside)
        except OSError:
            shutil.copyfile(source, aside)


def link_tree(source: Path, target: Path) -> None:
    """Links every file below ``source`` to the same place below ``target``, but none that lies aside."""
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source)
        if path.is_file() and not is_aside(inner):
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            link_file(path, target / inner)


def is_aside(path: Path) -> bool:
    """Whether this is, or lies in, something that was not yet, or never will be, renamed into place.

    Args:
        path: Relative to a folder that is itself in place.
    """
    return any(part.startswith(".") and part.endswith(SUFFIX) for part in path.parts)


def is_inner(name: object) -> bool:
    """Whether a name that somebody else has written leads to something below the folder that it is counted from."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def digest_of(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """What the file system of ``folder`` has left for this user."""
    return shutil.disk_usage(folder).free


def says_full(text: str) -> bool:
    """Whether the words of an error, or of a log, say that a disk is full."""
    return _said_number(text) is not None


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came of, is that no more can be written."""
    return _number(error) is not None


def is_as_good_as_full(folder: Path) -> bool:
    """Whether next to nothing more can be written into ``folder``."""
    try:
        return free_bytes(folder) < AS_GOOD_AS_FULL_BYTES
    except OSError:
        return False


def full_error(who: str, folder: Path, *, wrote: int | None = None, of: BaseException | str | None = None) -> DiskFull:
    """The error to raise where no more can be written: no space is left, or a file has reached the limit on its size.

    Args:
        who: That wanted to write.
        folder: Where.
        wrote: Bytes that it had written before.
        of: The error, or words of a log, that say which of the two it is; unset, the error that is being handled.
    """
    number = _said_number(of) if isinstance(of, str) else _number(of or sys.exception())
    had = f"; it had written {sized(wrote)}" if wrote is not None else ""
    goes_on = "What is done is kept; the same command goes on from there."
    if number == errno.EFBIG:
        return DiskFull(
            f"{who} reached the limit on a file's size in {folder}{had}. {OF_THE_MACHINE[number]} {goes_on}"
        )
    try:
        usage = shutil.disk_usage(folder)
        left = f" ({sized(usage.free)} of {sized(usage.total)} are free)"
    except OSError:
        left = ""
    return DiskFull(
        f"{who} found no space left in {folder}{left}{had}. Free some there, or name another store with --store. {goes_on}"
    )


def sized(amount: float) -> str:
    """Bytes in words, as people say them of disks."""
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def fsync(path: Path) -> None:
    """Waits until a file's bytes, or the names in a folder, would outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _number(error: BaseException | None) -> int | None:
    """The one of FULL that an error is, or came of."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return error.errno
        if number := _said_number(str(error)):
            return number
        error = error.__cause__ or error.__context__
    return None


def _said_number(text: str) -> int | None:
    """The one of FULL that a text says."""
    numbers = (int(found[1] or found[2]) for found in NUMBERED.finditer(text))
    texts = (number for words, number in FULL_TEXTS.items() if words in text)
    return next((number for number in (*numbers, *texts) if number in FULL), None)


def _finite(value: Any) -> Any:
    """JSON has no word for NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _aside(path: Path) -> Path:
    """A name of its own for each writer, also for two threads of one process."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{SUFFIX}")


def _lying_aside(path: Path) -> list[Path]:
    """What writers of that name have left, or are at. By names alone: a pattern for each name that is ever written would stay
    in Python's cache of 32,768 compiled ones, 1.7 kB each."""
    begins = f".{path.name}."
    try:
        names = [name for name in os.listdir(path.parent) if name.startswith(begins)]
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # whoever writes is told
        return []
    return [path.with_name(name) for name in names if name.removeprefix(begins).endswith(SUFFIX)]


def _remove_abandoned(path: Path) -> None:
    for left in _lying_aside(path):
        try:
            # not the time of modification: a link has its source's
            abandoned = time.time() - left.stat().st_ctime > ABANDONED_SECONDS
        except FileNotFoundError:  # its writer has just renamed it
            continue
        if abandoned and left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif abandoned:
            left.unlink(missing_ok=True)
