"""Files by path, folder, pattern or URL: finding, digesting and reading them as raw tables.

The one place that knows where input bytes come from. It must not know what the columns mean.
"""

import fnmatch
import glob
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from shoploop.api.v1alpha1 import TableSource
from shoploop.data import databases
from shoploop.data.formats import Layout, Remarks, read_file, stacked
from shoploop.errors import (
    DataUnreadable,
    NotFound,
    ShoploopError,
    StoreUnavailable,
    TableEmpty,
    first_line,
    without_passwords,
)
from shoploop.store import Store, disk

ENDINGS = (".parquet", ".pq", ".csv", ".tsv", ".txt", ".dat", ".data", ".inter", ".item", ".user", ".jsonl", ".ndjson",
           ".json", ".feather", ".arrow")  # fmt: skip
"""Of files of data in a folder that holds others too; a file that is named is read whatever its ending."""

PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
"""A wrong endpoint is reported within half a minute; obstore alone would try for three."""

_WILDCARD = re.compile(r"[*?\[]")
_HIVE = re.compile(r"([^=/]+)=([^/]*)")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(kw_only=True)
class Raw:
    """A table as its files hold it, and what had to be done to read them."""

    table: pl.DataFrame
    remarks: Remarks


@dataclass(frozen=True, kw_only=True)
class _File:
    path: Path
    keys: dict[str, str | None] = field(default_factory=dict)
    """Hive partitions: what the folders' names say about every row of the file."""


def is_remote(uri: str) -> bool:
    return "://" in uri and not uri.startswith("file://") and not Path(uri).exists()


def is_here(uri: str) -> bool:
    """Whether it can be looked at without asking another machine: a local path of which something exists."""
    if databases.scheme_of(uri):
        return databases.scheme_of(uri) in databases.FILES
    try:
        return not is_remote(uri) and bool(_local_files(uri))
    except DataUnreadable:
        return False


def absolute(uri: str, base: Path) -> str:
    """A relative path counted from ``base``; URLs and absolute paths as they are."""
    if databases.scheme_of(uri):
        return databases.absolute(uri, base)
    if uri.startswith("~/"):
        return str(Path(uri).expanduser())
    if ("://" in uri and not (base / uri).exists()) or Path(uri).is_absolute():
        return uri
    return str(base.absolute() / uri)


def digest(sources: dict[str, TableSource], *, settings: str) -> str:
    """A sha256 over settings and inputs: bytes of local files, ETag and size of remote ones, rows of a database server."""
    total = hashlib.sha256(settings.encode())
    for name, source in sources.items():
        uri = source.uri
        if databases.scheme_of(uri):
            where = f"spec.data.tables.{name}"
            total.update(databases.digest(uri, query=source.query, table=source.table, field=where).encode())
        elif is_remote(uri):
            for key, meta in _remote_objects(uri):
                total.update(f"{_facts(key, meta)}\n".encode())
        else:
            for file in _local_files(uri):
                path = file.path
                keys = f" {file.keys}" if file.keys else ""
                total.update(_named_bytes(f"{path.name} {path.stat().st_size} {_digest_of(path)}{keys}\n"))
    return total.hexdigest()


def digest_of_files(paths: list[Path], *, settings: str) -> str:
    """The same for files that are known to lie on this machine."""
    total = hashlib.sha256(settings.encode())
    for path in paths:
        total.update(_named_bytes(f"{path.name} {path.stat().st_size} {_digest_of(path)}\n"))
    return total.hexdigest()


def facts_below(uri: str) -> list[str]:
    """A line for each object of a store whose key lies below ``uri``, whatever its name: it changes where the object does.

    Raises:
        DataUnreadable: there is none, or the store did not answer.
    """
    store, prefix = _open(uri)
    prefix = prefix.rstrip("/")
    with _answering(uri):
        listed = store.list_facts(prefix)
    start = prefix + "/" if prefix else ""
    found = [_facts(facts["path"], facts) for facts in listed if facts["path"].startswith(start)]
    if not found:
        raise DataUnreadable(f"{uri} does not exist. Check the bucket and the key.")
    return found


def _facts(key: str, meta: dict[str, Any]) -> str:
    return f"{key} {meta['size']} {meta['e_tag']} {meta['last_modified']}"


def _named_bytes(line: str) -> bytes:
    """A name of a file need not be text: what it holds beside is read from the disk as it was."""
    return line.encode("utf-8", "surrogateescape")


def _digest_of(path: Path) -> str:
    try:
        return disk.digest_of(path)
    except OSError as error:
        raise DataUnreadable(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def read(source: TableSource, *, field: str) -> Raw:
    """Every file that ``source.uri`` names, one below the other, in sorted order; or the rows of a database.

    Columns that only some files have are null in the others.

    Args:
        source: Where the table is, and how its files are written.
        field: Where that stands in the spec, for messages.

    Raises:
        DataUnreadable: there is no such file, it is of no known format, or it is damaged.
        TableEmpty: there is no row.
    """
    uri, remarks = source.uri, Remarks()
    if databases.scheme_of(uri):
        table = databases.read(uri, query=source.query, table=source.table, field=field)
        if table.height == 0:
            raise TableEmpty(f"{without_passwords(uri)}: {source.table or 'the query'} gives no row.")
        return Raw(table=table, remarks=remarks)
    if source.query or source.table:
        raise DataUnreadable(
            f"{field}: query and table read a database, and {uri} is none. Write duckdb:///file.db, sqlite:///file.db "
            "or postgresql://..., or leave them out."
        )
    layout = Layout(separator=source.separator, header=tuple(source.header), encoding=source.encoding)
    with local_copies(uri) as files:
        tables: list[tuple[str, pl.DataFrame]] = []
        for file in files:
            shown = f"{uri} ({file.path.name})" if len(files) > 1 else uri
            try:
                table = read_file(file.path, shown=shown, layout=layout, remarks=remarks)
            except TableEmpty:
                if len(files) == 1:
                    raise
                continue  # of many files some may be empty, as Spark's often are
            keys = {name: value for name, value in file.keys.items() if name not in table.columns}
            table = table.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in keys.items())
            tables.append((file.path.name, table))
    if not any(table.height for _, table in tables):
        raise TableEmpty(f"{uri} holds no row. Point uri at a file with data.")
    return Raw(table=stacked(tables, shown=uri, remarks=remarks), remarks=remarks)


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The files of this machine that a uri names, by their paths below what all have in common."""

    files: dict[str, Path]
    single: bool
    """Whether the uri names one file, and not a folder or a pattern."""


def local_tree(uri: str) -> Tree:
    """The files that a reading of ``uri`` would read; folders that are Hive keys are part of their paths.

    Raises:
        DataUnreadable: there is none.
    """
    found = _local_files(uri)
    path = _local_path(uri)
    if path.is_file():
        return Tree(files={path.name: path}, single=True)
    fixed = list(path.parts if path.is_dir() else _fixed_parts(str(path)))
    while fixed and _HIVE.fullmatch(fixed[-1]):
        fixed.pop()
    base = Path(*fixed)
    return Tree(files={file.path.relative_to(base).as_posix(): file.path for file in found}, single=False)


def is_all_data(names: list[str]) -> bool:
    """Whether a folder of files with these names is read whole."""
    return sorted(_of_data(names)) == sorted(names)


@contextmanager
def local_copies(uri: str) -> Iterator[list[_File]]:
    """The files that ``uri`` names; remote ones are downloaded for as long as the context lasts."""
    if not is_remote(uri):
        yield _local_files(uri)
        return
    with tempfile.TemporaryDirectory(prefix="shoploop-load-") as folder:
        found = _remote_objects(uri)
        keys = _hive([key for key, _ in found], _open(uri)[1])
        yield [
            _File(path=_download(uri, key, Path(folder) / f"{n:06}-{Path(key).name}"), keys=keys[n])
            for n, (key, _) in enumerate(found)
        ]


def _local_files(uri: str) -> list[_File]:
    """A path that exists is meant as it is written, whatever signs it holds; else it is a pattern."""
    path = _local_path(uri)
    name = str(path)
    if path.is_file():
        return [_File(path=path)]
    if path.is_dir():
        found = _of_folder(path)
        if not found:
            raise DataUnreadable(f"{uri} is a folder without a file of data. It must hold CSV, JSON Lines or Parquet.")
    elif _WILDCARD.search(name):
        matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
        nested = [file for match in matches for file in ([match] if match.is_file() else _of_folder(match))]
        fixed = len(_fixed_parts(name))
        found = list(dict.fromkeys(file for file in nested if not any(map(_is_hidden, file.parts[fixed:]))))
        if not found:
            raise DataUnreadable(f"No file matches {uri}. Check the pattern; {_beside(path)}")
    else:
        if path.is_symlink():
            raise DataUnreadable(
                f"{uri} is a link to {path.readlink()}, which does not exist. Mend the link, or name the file."
            )
        if path.exists():
            raise DataUnreadable(
                f"{uri} is neither a file nor a folder. Write what it gives into a file, and name that."
            )
        raise DataUnreadable(f"{uri} does not exist. Check the path; {_beside(path)}")
    keys = _hive([str(file) for file in found], str(path))
    return [_File(path=file, keys=own) for file, own in zip(found, keys, strict=True)]


def _local_path(uri: str) -> Path:
    name = uri
    if uri.startswith("file://"):
        name = uri.removeprefix("file://").removeprefix("localhost")
        name = name if Path(name).exists() else unquote(name)
    return Path(name)


def _of_folder(folder: Path) -> list[Path]:
    """Files of data at any depth, sorted: no hidden ones, and where there is Parquet nothing else."""
    inside = sorted(path for path in _files_below(folder) if path.is_file())
    return [Path(name) for name in _of_data([str(path) for path in inside])]


def _files_below(folder: Path) -> Iterator[Path]:
    """What is not hidden, also behind links to folders: each folder once, and none that ``folder`` itself lies in."""
    seen = {_identity(above) for above in folder.resolve().parents}
    waiting = [folder]
    while waiting:
        links: list[Path] = []
        for begin in waiting:
            for where, inside, names in os.walk(begin):
                if _identity(where) in seen:
                    inside.clear()
                    continue
                seen.add(_identity(where))
                inside[:] = [name for name in inside if not _is_hidden(name)]
                links += [path for name in inside if (path := Path(where, name)).is_symlink()]
                yield from (Path(where, name) for name in names if not _is_hidden(name))
        waiting = sorted(links)


def _identity(folder: str | Path) -> tuple[int, int]:
    state = os.stat(folder)
    return state.st_dev, state.st_ino


def _of_data(names: list[str]) -> list[str]:
    """Of the names in a folder, those that are its data."""
    parquet = [name for name in names if name.lower().endswith((".parquet", ".pq"))]
    known = [name for name in names if _bare(name).endswith(ENDINGS)]
    return parquet or known or names


def _bare(name: str) -> str:
    """In lower case, without the ending of a compression."""
    name = name.lower()
    for ending in PACKED:
        name = name.removesuffix(ending)
    return name


def _is_hidden(name: str) -> bool:
    """As Hadoop's readers see it: _SUCCESS, .part-00000.crc and the like are no data; _key=value is a partition."""
    return name.startswith((".", "_")) and "=" not in name


def _fixed_parts(pattern: str) -> tuple[str, ...]:
    """The folders of a pattern that hold no wildcard; of a plain path all parts."""
    if _WILDCARD.search(pattern):
        pattern = _WILDCARD.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    return PurePosixPath(pattern).parts


def _hive(names: list[str], uri: str) -> list[dict[str, str | None]]:
    """Columns that the names of folders give, where all files have the same ones; folders that ``uri`` itself lies in,
    and does not end with, give none."""
    fixed = list(_fixed_parts(uri))
    while fixed and _HIVE.fullmatch(fixed[-1]):
        fixed.pop()
    found = [
        {
            match[1]: None if match[2] == _HIVE_NULL else unquote(match[2])
            for part in PurePosixPath(name).parts[len(fixed) : -1]
            if (match := _HIVE.fullmatch(part))
        }
        for name in names
    ]
    for keys in found:
        for key, value in keys.items():
            if any("\ud800" <= sign <= "\udfff" for sign in f"{key}{value}"):
                raise DataUnreadable(
                    f"{uri}: the folder {f'{key}={value}'!r} is a column of its files, and its name is no text in UTF-8. "
                    "Rename the folder."
                )
    common = set.intersection(*(set(keys) for keys in found)) if found else set()
    return [{name: value for name, value in keys.items() if name in common} for keys in found]


def _beside(path: Path) -> str:
    """What the nearest folder that exists holds: most wrong paths are wrong at the end."""
    folder = next((p for p in path.absolute().parents if p.is_dir() and not _WILDCARD.search(str(p))), Path("/"))
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))[:8]
    return f"{folder} holds {', '.join(names)}." if names else f"{folder} is empty."


def _open(uri: str) -> tuple[Store, str]:
    """The bucket's store and the path in it.

    Raises:
        DataUnreadable: the scheme is unknown or the store cannot be opened.
    """
    parts = urlsplit(uri)
    root = f"{parts.scheme}://{parts.netloc}"
    plain: Any = {"client_options": {"allow_http": True}} if parts.scheme == "http" else {}
    try:
        store = Store(root, options={"retry_config": RETRIES, **plain}, read_only=True)
    except StoreUnavailable as error:
        raise DataUnreadable(
            f"{uri} cannot be opened: {_cause(error)}. Known schemes: file, s3, gs, az, http, https, duckdb, sqlite, "
            "postgresql; credentials come from the environment."
        ) from error
    return store, uri[len(root) :].lstrip("/")


def _remote_objects(uri: str) -> list[tuple[str, Any]]:
    """A key that exists is meant as it is written; else it is a folder or a pattern."""
    store, pattern = _open(uri)
    is_pattern = _WILDCARD.search(pattern) is not None
    folder = "/".join(_fixed_parts(pattern))
    with _answering(uri):
        for key in dict.fromkeys((pattern, unquote(pattern))):
            if not key.endswith("/") and store.exists(key):
                return [(key, store.facts(key))]
        listed = store.list_facts(folder)
    start = folder + "/" if folder else ""
    inside = {
        facts["path"]: facts
        for facts in listed
        if facts["path"].startswith(start) and not any(map(_is_hidden, facts["path"][len(start) :].split("/")))
    }
    if is_pattern:
        found = [(key, facts) for key, facts in inside.items() if fnmatch.fnmatchcase(key, pattern)]
    else:
        found = [(key, inside[key]) for key in _of_data(list(inside))]
    if not found:
        missing = f"No object matches {uri}. Check the bucket and the pattern."
        raise DataUnreadable(missing if is_pattern else f"{uri} does not exist. Check the bucket and the key.")
    return found


@contextmanager
def _answering(uri: str) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise DataUnreadable(f"{uri} does not exist. Check the bucket and the key.") from error
    except StoreUnavailable as error:
        raise DataUnreadable(
            f"{uri} cannot be read: {_cause(error)}. Check endpoint, region and credentials in the environment."
        ) from error


def _download(uri: str, key: str, target: Path) -> Path:
    store, _ = _open(uri)
    try:
        store.get_file(key, target)
    except (NotFound, StoreUnavailable) as error:
        raise DataUnreadable(f"{uri}: {key} cannot be read: {_cause(error)}.") from error
    return target


def _cause(error: ShoploopError) -> str:
    """As obstore has it: what the store's own message advises is of spec.store, and these are data."""
    return first_line(error.__cause__ or error)
