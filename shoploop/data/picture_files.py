"""Pictures that a table of items names by paths or URLs below one folder or store; nothing outside of it is ever read.

What cannot be read does not stop a run: the item goes on without a picture, and the rule that says so names one of them.

Legend: S side.
"""

import hashlib
import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np
import polars as pl

from shoploop import progress
from shoploop.data import sources
from shoploop.data.pictures import FORMATS, HEAD, MOST_BYTES, SIDE, Pixels, is_picture, read_picture
from shoploop.data.rules import Loaded
from shoploop.errors import DataUnreadable, NotFound, PictureUnreadable
from shoploop.store.objects import Store

FILE = "pictures.parquet"
"""Beside the canonical tables, where a spec asks for pictures and some can be read: ``item`` and ``pixels``."""

ENCODER, ENCODER_CONFIG, ENCODER_WEIGHTS = "encoder", "encoder.json", "encoder.safetensors"
"""Folder beside them with what describes them, where a spec brings it, and its two files."""

MOST_ENCODER_BYTES = 200 * 2**20

MOST_PICTURES = 20_000
"""Of the first items by id; more would not fit what a step may hold."""


class PictureFolder:
    """A folder of this machine, or a prefix of an object store, that pictures lie below."""

    def __init__(self, uri: str):
        """
        Args:
            uri: As of :class:`~shoploop.store.objects.Store`; a folder must be there.

        Raises:
            NotFound: there is no such folder.
            StoreUnavailable: the store cannot be opened.
        """
        parts = urlsplit(uri)
        if parts.scheme in ("", "file"):
            folder = Path(unquote(parts.path) if parts.scheme else uri)
            if not folder.is_dir():
                raise NotFound(f"The folder of pictures {uri} is not there. Check image.uri of the table of items.")
        self._store = Store(uri, read_only=True)
        self._folder = None if self._store.folder is None else self._store.folder.resolve()

    def read(self, named: str) -> bytes:
        """The bytes of a file.

        Args:
            named: Its path below the folder, with ``/``, or the folder's own URL and then that path.

        Raises:
            PictureUnreadable: it lies outside of the folder, is not there, or is too large.
            StoreUnavailable: the store did not answer.
        """
        key = self._key(named)
        if self._folder is not None:
            path = (self._folder / key).resolve()
            if not path.is_relative_to(self._folder):  # by a link
                raise _outside(named, self._store.uri)
            if not path.is_file():
                raise PictureUnreadable(f"Picture {named} is not below {self._store.uri}. Check the column image.")
            if path.stat().st_size > MOST_BYTES:
                raise PictureUnreadable(
                    f"Picture {named} has {path.stat().st_size:,} bytes; up to {MOST_BYTES:,} are read. Store a smaller one."
                )
            return path.read_bytes()
        try:
            size = int(self._store.facts(key)["size"])
            if size > MOST_BYTES:
                raise PictureUnreadable(
                    f"Picture {named} has {size:,} bytes; up to {MOST_BYTES:,} are read. Store a smaller one."
                )
            return self._store.get(key)
        except NotFound as error:
            raise PictureUnreadable(
                f"Picture {named} is not below {self._store.uri}. Check the column image."
            ) from error

    def _key(self, named: str) -> str:
        own = self._store.uri.rstrip("/") + "/"
        if named.startswith(own):
            named = unquote(named[len(own) :]) if self._folder is not None else named[len(own) :]
        elif "://" in named:
            raise _outside(named, self._store.uri)
        path = PurePosixPath(named)
        # a zero byte ends a path for the system, though not for us
        if path.is_absolute() or ".." in path.parts or "\0" in named or "\\" in named or not path.parts:
            raise _outside(named, self._store.uri)
        return path.as_posix()


def _may_be_named(inner: str) -> bool:
    """Whether a table can name it and a store keep it: text, without backslashes and without what steers machines."""
    return inner.isprintable() and "\\" not in inner and inner.encode(errors="replace").decode() == inner


def pictures_below(uri: str) -> dict[str, Path]:
    """The pictures of a folder of this machine, by their paths below it, sorted: what begins as a picture does and is no
    larger than what is read. Left out, as reading leaves it out, is what is hidden, what lies behind a link that leaves the
    folder, and what has a name that no table can hold.

    Raises:
        NotFound: there is no such folder.
        DataUnreadable: it holds no picture, or a file in it cannot be read.
    """
    folder = Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri)
    if not folder.is_dir():
        raise NotFound(f"The folder of pictures {uri} is not there. Check image.uri of the table of items.")
    whole, found = folder.resolve(), {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if (
            hidden
            or not _may_be_named(inner.as_posix())
            or not path.is_file()
            or not path.resolve().is_relative_to(whole)
        ):
            continue
        try:
            with path.open("rb") as file:
                begins = is_picture(file.read(HEAD))
        except OSError as error:
            raise DataUnreadable(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
        if begins and path.stat().st_size <= MOST_BYTES:
            found[inner.as_posix()] = path
    if not found:
        raise DataUnreadable(
            f"The folder {uri} holds no picture: no file below it begins as {', '.join(FORMATS)} do. "
            "Check image.uri of the table of items."
        )
    return found


def digest_below(uri: str) -> str:
    """A sha256 over every file that a table could name below ``uri``: paths and bytes on this machine, facts in a store.

    Of what reading refuses, since it is too large or begins as no picture does, the bytes after its first are not read; of a
    link only where it leads is taken, since what it leads to counts where it lies, or is never read.

    Raises:
        DataUnreadable: there is no such folder, or a file in it cannot be read.
    """
    total = hashlib.sha256()
    if sources.is_remote(uri):
        for line in sources.facts_below(uri):
            total.update(f"{line}\n".encode())
        return total.hexdigest()
    folder = Path(unquote(urlsplit(uri).path) if uri.startswith("file://") else uri)
    if not folder.is_dir():
        raise DataUnreadable(f"{uri} does not exist. Check image.uri of the table of items.")
    for where, inside, names in os.walk(folder):
        inside.sort()
        for name in sorted([*names, *(one for one in inside if Path(where, one).is_symlink())]):
            path = Path(where, name)
            inner = path.relative_to(folder).as_posix()
            total.update(f"{inner} {_digest_of(path, folder)}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _digest_of(path: Path, folder: Path) -> str:
    """What reading a file of a folder of pictures depends on."""
    try:
        if path.is_symlink():
            leads, whole = path.resolve(), folder.resolve()
            return f"to {leads.relative_to(whole)}" if leads.is_relative_to(whole) else "out"
        if not path.is_file():
            return "none"
        size = path.stat().st_size
        if size > MOST_BYTES:
            return f"{size}"
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            return f"{size} {hashlib.file_digest(file, 'sha256').hexdigest() if is_picture(head) else head.hex()}"
    except OSError as error:
        raise DataUnreadable(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def encoder_bytes(folder: Path) -> dict[str, bytes]:
    """The two files of an encoder of pictures, as they are.

    Raises:
        NotFound: one of them is not there.
        DataUnreadable: it is too large to be one.
    """
    found: dict[str, bytes] = {}
    for name in (ENCODER_CONFIG, ENCODER_WEIGHTS):
        path = folder / name
        if not path.is_file():
            raise NotFound(
                f"The encoder of pictures {folder} has no {name}. Check image.encoder of the table of items."
            )
        if path.stat().st_size > MOST_ENCODER_BYTES:
            raise DataUnreadable(f"{path} has {path.stat().st_size:,} bytes, which no encoder of pictures has.")
        found[name] = path.read_bytes()
    return found


def _outside(named: str, uri: str) -> PictureUnreadable:
    return PictureUnreadable(
        f"Picture {named!r} lies outside of {uri}, and nothing else is read. Write the path below it."
    )


def read_pictures(items: pl.DataFrame, folder: PictureFolder, loaded: Loaded) -> pl.DataFrame | None:
    """The pictures of a table of items, as far as they can be read; what cannot is noted as a rule.

    Args:
        items: Canonical: ``item`` and ``image``, null where there is none.
        folder: Where they lie.
        loaded: Told of those that cannot be read.

    Returns:
        ``item`` (sorted) and ``pixels`` (S × S × 3 bytes); None where there is none at all.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    named = items.select("item", "image").drop_nulls().filter(pl.col("image") != "").unique("item").sort("item")
    loaded.note(
        "pictures_too_many",
        "items",
        max(named.height - MOST_PICTURES, 0),
        "kept",
        f"Pictures of the first {MOST_PICTURES:,} items are looked at.",
    )
    found: dict[str, bytes] = {}
    refused: list[str] = []
    told = progress.Count("pictures")
    wanted = min(named.height, MOST_PICTURES)
    for done, (item, image) in enumerate(named.head(MOST_PICTURES).iter_rows(), 1):
        try:
            found[item] = read_picture(folder.read(image), name=repr(image)).tobytes()
        except PictureUnreadable as error:
            refused.append(str(error))
        told(done, wanted)
    loaded.note(
        "picture_unreadable",
        "items",
        len(refused),
        "kept",
        f"Their items go on without a picture. The first: {refused[0] if refused else ''}",
        tell=True,
    )
    if not found:
        return None
    return pl.DataFrame(
        {"item": list(found), "pixels": list(found.values())}, schema={"item": pl.String, "pixels": pl.Binary}
    )


def pixels_of(table: pl.DataFrame) -> Pixels:
    """The pictures of such a table, (M, S, S, 3)."""
    joined = b"".join(table["pixels"].to_list())
    return np.frombuffer(joined, np.uint8).reshape(-1, SIDE, SIDE, 3)
