"""Objects by URL, on a folder or an object store, through obstore.

It must not know what the bytes mean.

obstore renames a finished file into place on a local file system but never calls fsync; :meth:`Store.put` and
:meth:`Store.put_if_absent` do, on the file and its folder, so an answer means that the bytes outlive a power cut.
On S3 the store's own answer means that.
"""

import builtins
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from shoploop.errors import AlreadyExists, NotFound, StoreUnavailable, first_line
from shoploop.store import disk
from shoploop.store.errors import named_errors

UPLOAD_CHUNK_BYTES = 8 * 2**20

AT_ONCE = 16
"""Objects of a store that is far away that are asked for before the first has come."""

STRANGE = '\\{}^%`[]"<>~#|*?'
"""Signs that obstore writes in another way into keys."""

T = TypeVar("T")

ENTRY = re.compile(r"\d{12}\.json")
"""Name of an entry of a log."""


class Store:
    """A prefix of an object store; keys are relative to it and use ``/``."""

    def __init__(self, uri: str, *, options: dict[str, Any] | None = None, read_only: bool = False):
        """Opens ``uri`` (``file:///folder``, ``s3://bucket/prefix``, ``gs://bucket/prefix`` or a plain folder).

        Args:
            uri: Where the objects lie. A local folder is made when it is missing.
            options: Further settings of obstore's store, such as ``endpoint`` and ``region``.
            read_only: Nothing will be written: the folder need not be writable, and is not made.

        Raises:
            StoreUnavailable: the folder cannot be made, written or read, or the URL's scheme is unknown.
        """
        from obstore.store import LocalStore, MemoryStore, from_url

        self.options = dict(options or {})
        parts = urlsplit(uri)
        self.folder: Path | None = None
        if parts.scheme in ("", "file"):
            self.folder = Path(unquote(parts.path) if parts.scheme else uri).absolute()
            _check_folder(self.folder, uri, read_only=read_only)
            self.uri = self.folder.as_uri()
            # what is only looked at is not made: there is nothing in it
            self._store: Any = LocalStore(self.folder) if self.folder.is_dir() else MemoryStore()
        else:
            self.uri = uri.rstrip("/")
            try:
                self._store = from_url(self.uri, **(options or {}))
            except Exception as error:
                raise StoreUnavailable(
                    f"Store {uri} cannot be opened: {first_line(error)}. Known schemes: file, s3, gs, az."
                ) from error

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    def url(self, key: str) -> str:
        """The full URL of ``key``."""
        return f"{self.uri}/{key}"

    def path(self, key: str) -> Path | None:
        """Where ``key`` lies on this machine's file system; None where the store is remote."""
        return self.folder / key if self.folder else None

    def get(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            NotFound: there is no such object.
            StoreUnavailable: the store did not answer.
        """
        with named_errors(self.url(key)):
            return bytes(self._store.get(key).bytes())

    def get_each(self, keys: Iterable[str]) -> Iterator[bytes]:
        """The bytes of many objects, one after the other. Where each answer takes its way, the next ones are on theirs
        meanwhile; some that nobody takes are read, too, then.

        Raises (where the turn of such an object comes):
            NotFound: it is not there.
            StoreUnavailable: the store did not answer.
        """
        if self.folder is not None:
            yield from map(self.get, keys)
            return
        coming: deque[Future[bytes]] = deque()
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="store")
        try:
            for key in keys:
                coming.append(pool.submit(self.get, key))
                if len(coming) == AT_ONCE:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def modified(self, key: str) -> float:
        """When the object was written, seconds since 1970, by the store's own clock.

        Raises:
            NotFound: there is no such object.
            StoreUnavailable: the store did not answer.
        """
        with named_errors(self.url(key)):
            return float(self._store.head(key)["last_modified"].timestamp())

    def get_json(self, key: str) -> Any:
        return json.loads(self.get(key))

    def put(self, key: str, data: bytes) -> None:
        """Writes the object, replacing one that is there; durable on return."""
        with named_errors(self.url(key)):
            self._store.put(key, data)
        self._sync(key)

    def put_if_absent(self, key: str, data: bytes) -> None:
        """Writes the object unless there is one: of two writers one wins. Durable on return.

        Raises:
            AlreadyExists: somebody else was first; nothing was changed.
        """
        with named_errors(self.url(key)):
            self._store.put(key, data, mode="create")
        self._sync(key)

    def holds(self, key: str, data: bytes) -> bool:
        """Whether the object is there with these bytes and no others; durable then, whoever wrote it."""
        try:
            same = self.get(key) == data
        except NotFound:
            return False
        if same:
            self._sync(key)
        return same

    def put_file(self, key: str, source: Path) -> None:
        """Uploads a file, streamed; durable on return."""
        with named_errors(self.url(key)):
            self._store.put(key, source, chunk_size=UPLOAD_CHUNK_BYTES)
        self._sync(key)

    def get_file(self, key: str, target: Path) -> None:
        """Downloads an object beside ``target`` and renames it into place when it is whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with disk.whole_file(target) as file, named_errors(self.url(key)):
            for chunk in self._store.get(key):
                file.write(chunk)

    def put_folder(self, key: str, source: Path) -> None:
        """Uploads every file below ``source``, in sorted order."""
        for path in sorted(source.rglob("*")):
            if path.is_file():
                self.put_file(f"{key}/{path.relative_to(source).as_posix()}", path)

    def get_folder(self, key: str, target: Path) -> None:
        """Downloads every object below ``key``.

        Raises:
            NotFound: there is none.
        """
        keys = list(self.list(f"{key}/"))
        if not keys:
            raise NotFound(f"Nothing lies below {self.url(key)}.")
        for found in keys:
            self.get_file(found, target / found[len(key) + 1 :])

    def facts(self, key: str) -> dict[str, Any]:
        """The object's ``path`` (its key), ``size`` in bytes, ``e_tag`` and ``last_modified``.

        Raises:
            NotFound: there is no such object.
            StoreUnavailable: the store did not answer.
        """
        with named_errors(self.url(key)):
            return dict(self._store.head(key))

    def exists(self, key: str) -> bool:
        try:
            self.facts(key)
        except NotFound:
            return False
        return True

    def list_facts(self, prefix: str = "") -> list[dict[str, Any]]:
        """:meth:`facts` of all objects whose keys begin with the folder ``prefix``, sorted by key."""
        return sorted(self._found(prefix, dict), key=lambda facts: str(facts["path"]))

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys that begin with the folder ``prefix``, sorted."""
        yield from sorted(self._found(prefix, itemgetter("path")))

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every object below ``folder``, by its path in there; empty where there is none."""
        found = sorted(self._found(f"{folder}/", itemgetter("path", "size")))
        return {path.removeprefix(f"{folder}/"): size for path, size in found}

    def folders(self, folder: str) -> tuple[str, ...]:
        """Names of the folders that lie in ``folder`` itself, sorted."""
        from obstore.exceptions import InvalidPathError

        with named_errors(self.url(folder)):
            try:
                found = self._store.list_with_delimiter(f"{folder}/")["common_prefixes"]
            except InvalidPathError:
                if self.folder is None:
                    raise
                found = _nameable_folders(self.folder / folder)
        return tuple(sorted(prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in found))

    def _found(self, prefix: str, told: Callable[[dict[str, Any]], T]) -> builtins.list[T]:
        """Of each object what is to be told of its facts: all of them are too many to keep where there are many objects."""
        from obstore.exceptions import InvalidPathError

        with named_errors(self.url(prefix)):
            try:
                return [told(meta) for chunk in self._store.list(prefix or None) for meta in chunk]
            except InvalidPathError:
                if self.folder is None:
                    raise
                return [told(facts) for facts in self._nameable(self.folder, prefix)]

    def _nameable(self, root: Path, prefix: str) -> Iterator[dict[str, Any]]:
        """What obstore would list if it left out the names that no key can have, as of bytes that are no text: not ours."""
        for folder, inner, names in os.walk(root / prefix, followlinks=True):
            inner[:] = filter(_is_nameable, inner)  # the walk goes into these alone
            for name in filter(_is_nameable, names):
                path = Path(folder, name)
                if path.is_file():  # opening a pipe would wait for its writer
                    with suppress(NotFound):
                        yield self.facts(path.relative_to(root).as_posix())

    def delete_folder(self, folder: str) -> None:
        """Removes every object below ``folder``; one that is not there is no error."""
        if self.folder is not None:  # its empty folders go too
            shutil.rmtree(self.folder / folder, ignore_errors=True)
            return
        for key in self.list(f"{folder}/"):
            self.delete(key)

    def delete_empty_folders(self, folder: str) -> None:
        """Removes ``folder`` and the folders in it, those that hold nothing any more; an object store has no such thing."""
        if self.folder is not None:
            for path, _, _ in os.walk(self.folder / folder, topdown=False):
                with suppress(OSError):
                    os.rmdir(path)

    def delete(self, key: str) -> None:
        """Removes one object; one that is not there is no error."""
        try:
            with named_errors(self.url(key)):
                self._store.delete(key)
        except NotFound:
            pass

    def _sync(self, key: str) -> None:
        """fsyncs a local object and every folder between it and the store's own."""
        if self.folder is None:
            return
        path = self.folder / key
        for entry in (path, *path.parents):
            disk.fsync(entry)
            if entry == self.folder:
                break


def _nameable_folders(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if entry.is_dir() and _is_nameable(entry.name))


def _is_nameable(name: str) -> bool:
    """Whether a key may hold this name of a file or folder."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable() and not set(name) & set(STRANGE)


def _check_folder(folder: Path, uri: str, *, read_only: bool) -> None:
    if read_only:
        if folder.exists() and not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
            why = "permission denied" if folder.is_dir() else "it is no folder"
            raise StoreUnavailable(f"Store {uri} cannot be read: {why}. Name another with --store or SHOPLOOP_STORE.")
        return
    why = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = str(error.strerror)
    else:
        if not os.access(folder, os.W_OK | os.X_OK):
            why = "it may only be read" if os.access(folder, os.R_OK) else "permission denied"
    if why:
        raise StoreUnavailable(
            f"Store {uri} cannot be written: {why}. Name a folder that you may write, in spec.store.uri or with --store."
        )


class Log:
    """Numbered entries below one key, each written once: ``<key>/000000000001.json``, ``...2.json``; other files are
    somebody else's.

    Appending is put-if-absent, so two writers cannot both hold the same number: the loser gets
    :class:`~shoploop.errors.AlreadyExists`, reads what the winner wrote and decides again. An answer of an object store may
    get lost on its way; the entry is written then, and who asks again finds it: it is known by its bytes. So two writers of
    the very same bytes both hold them, as one entry; where that is not what both want, the entry says something of its own.
    """

    def __init__(self, store: Store, key: str):
        self.store = store
        self.key = key

    def entries(self) -> list[dict[str, Any]]:
        """All entries, oldest first; each has its ``number``."""
        return list(self.each())

    def each(self) -> Iterator[dict[str, Any]]:
        """The same one by one, for who goes through a long log."""
        return self.those(self.numbers())

    def those(self, numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
        """The entries of these numbers, one by one.

        Raises:
            StoreUnavailable: one of them is damaged, or no longer there.
        """
        numbers = list(numbers)
        bodies = self.store.get_each(map(self._key, numbers))
        for number in numbers:
            try:
                body = next(bodies)
            except NotFound as error:
                raise StoreUnavailable(
                    f"{self.store.url(self.key)}: entry {number} is missing. Bring it back."
                ) from error
            yield self._read(number, body)

    def numbers(self) -> list[int]:
        """Those of all entries, in order; none of them is read."""
        found = (key.removeprefix(f"{self.key}/") for key in self.store.list(f"{self.key}/"))
        return [int(name[:-5]) for name in found if ENTRY.fullmatch(name)]

    def entry(self, number: int) -> dict[str, Any]:
        """The entry of that number.

        Raises:
            StoreUnavailable: it is damaged, or no longer there.
        """
        return next(self.those([number]))

    def since(self, number: int) -> list[dict[str, Any]]:
        """The entries after that number, oldest first; asks for each by its name, so that a long log costs no more than a
        short one."""
        found: list[dict[str, Any]] = []
        with suppress(NotFound):
            while True:
                following = number + len(found) + 1
                found.append(self._read(following, self.store.get(self._key(following))))
        return found

    def _key(self, number: int) -> str:
        return f"{self.key}/{number:012}.json"

    def _read(self, number: int, body: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(body)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            raise StoreUnavailable(
                f"{self.store.url(self._key(number))} is damaged: it is no entry of a log. Bring it back, or remove it."
            )
        return {"number": number} | entry

    def append(self, entry: dict[str, Any], *, after: int) -> int:
        """Writes entry number ``after + 1``; durable on return.

        Raises:
            AlreadyExists: another writer took that number since ``after`` was read.
        """
        number = after + 1
        key, body = self._key(number), json.dumps(entry, sort_keys=True, indent=1).encode()
        try:
            self.store.put_if_absent(key, body)
        except AlreadyExists:
            if not self.store.holds(key, body):
                raise
        return number
