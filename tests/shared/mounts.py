"""File systems of a test's own: small ones, which fill up, and such as may only be read."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size, such as ``256k``."""
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        yield folder


@contextmanager
def seen_from(folder: Path, other: Path) -> Iterator[Path]:
    """The folder once more, at another place, as it may be read there."""
    with _mounted(other, "--bind", str(folder)):
        may_be_written(other, False)
        yield other


def may_be_written(place: Path, may: bool) -> None:
    """Of a place by :func:`seen_from`, from now on."""
    subprocess.run(["mount", "-o", f"remount,bind,{'rw' if may else 'ro'}", str(place)], check=True)


def may_hold(folder: Path, size: str) -> None:
    """Makes a small disk larger."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def fill(folder: Path, *, left: int = 0) -> Path:
    """Writes a file until the disk is full but for some bytes; returns it."""
    others = folder / "others"
    with open(others, "wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        file.truncate(file.tell() - left)
    return others


@contextmanager
def _mounted(folder: Path, *how: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    if os.geteuid() != 0 or subprocess.run(["mount", *how, str(folder)], capture_output=True).returncode:
        pytest.skip("a file system of its own can only be mounted by root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
