"""Files by path, pattern or URL: finding, digesting and reading them as raw tables.

The one place that knows where input bytes come from. It must not know what the columns mean.
"""

import fnmatch
import glob
import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from shoploop.errors import DataUnreadable, NotFound, ShoploopError, StoreUnavailable, TableEmpty, first_line
from shoploop.store import Store, disk

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
SEPARATORS = ",;\t|"
RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
"""A wrong endpoint is reported within half a minute; obstore alone would try for three."""

_WILDCARD = re.compile(r"[*?\[]")


def is_remote(uri: str) -> bool:
    return urlsplit(uri).scheme not in ("", "file") and "://" in uri


def absolute(uri: str, base: Path) -> str:
    """A relative path counted from ``base``; URLs and absolute paths as they are."""
    if "://" in uri or Path(uri).is_absolute():
        return uri
    return str(base.absolute() / uri)


def digest(uris: Iterable[str], *, settings: str) -> str:
    """A sha256 over settings and files: bytes of local ones, ETag and size of remote ones."""
    total = hashlib.sha256(settings.encode())
    for uri in uris:
        if is_remote(uri):
            for key, meta in _remote_objects(uri):
                total.update(f"{key} {meta['size']} {meta['e_tag']} {meta['last_modified']}\n".encode())
            continue
        for path in _local_files(uri):
            total.update(f"{path.name} {path.stat().st_size} {_digest_of(path)}\n".encode())
    return total.hexdigest()


def _digest_of(path: Path) -> str:
    try:
        return disk.digest_of(path)
    except OSError as error:
        raise DataUnreadable(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error


def read(uri: str) -> pl.DataFrame:
    """Every file that ``uri`` names, one below the other, in sorted order.

    Columns of a CSV are all text: the canonical column decides what they mean, so that an id such as ``007`` stays what
    it is. Columns that only some files have are null in the others.

    Raises:
        DataUnreadable: there is no such file, it is of no known format, or it is damaged.
        TableEmpty: the files hold no row.
    """
    with local_copies(uri) as paths:
        frames = [_read_file(path, shown=f"{uri} ({path.name})" if len(paths) > 1 else uri) for path in paths]
    try:
        table = pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0]
    except pl.exceptions.PolarsError as error:
        raise DataUnreadable(
            f"The files of {uri} do not fit together: {first_line(error)}. Give a column the same type in all of them."
        ) from error
    if table.height == 0:
        raise TableEmpty(f"{uri} holds no row. Point uri at a file with data.")
    return table


def _read_file(path: Path, *, shown: str) -> pl.DataFrame:
    name = path.name.lower()
    try:
        if name.endswith(PARQUET):
            return pl.read_parquet(path, use_pyarrow=False)
        if name.endswith(TEXT):
            return pl.read_csv(path, separator=_separator(path), infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise TableEmpty(f"{shown} is an empty file. Point uri at a file with data.") from error
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise DataUnreadable(
            f"{shown} cannot be read: {first_line(error)}. Check that it is an undamaged "
            f"{'Parquet' if name.endswith(PARQUET) else 'CSV file in UTF-8'}."
        ) from error
    raise DataUnreadable(f"{shown} is of no known format. Known endings: {', '.join(PARQUET + TEXT)}.")


def _separator(path: Path) -> str:
    """The separator that the header line holds most of; a comma where it holds none."""
    import gzip

    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        header = file.readline()
    return max(SEPARATORS, key=header.count)


@contextmanager
def local_copies(uri: str) -> Iterator[list[Path]]:
    """The files that ``uri`` names; remote ones are downloaded for as long as the context lasts."""
    if not is_remote(uri):
        yield _local_files(uri)
        return
    with tempfile.TemporaryDirectory(prefix="shoploop-load-") as folder:
        objects = enumerate(_remote_objects(uri))
        yield [_download(uri, key, Path(folder) / f"{n:06}-{Path(key).name}") for n, (key, _) in objects]


def _local_files(uri: str) -> list[Path]:
    pattern = unquote(urlsplit(uri).path) if uri.startswith("file://") else uri
    if _WILDCARD.search(pattern):
        found = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file())
        if not found:
            raise DataUnreadable(f"No file matches {uri}. Check the pattern; {_beside(Path(pattern))}")
        return found
    path = Path(pattern)
    if path.is_dir():
        raise DataUnreadable(f"{uri} is a folder. Name a file, or a pattern such as {uri.rstrip('/')}/*.parquet.")
    if not path.is_file():
        raise DataUnreadable(f"{uri} does not exist. Check the path; {_beside(path)}")
    return [path]


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
    plain: Any = {"client_options": {"allow_http": True}} if parts.scheme == "http" else {}
    try:
        store = Store(f"{parts.scheme}://{parts.netloc}", options={"retry_config": RETRIES, **plain}, read_only=True)
    except StoreUnavailable as error:
        raise DataUnreadable(
            f"{uri} cannot be opened: {_cause(error)}. Known schemes: file, s3, gs, az, http, https; "
            "credentials come from the environment."
        ) from error
    return store, unquote(parts.path).lstrip("/")


def _remote_objects(uri: str) -> list[tuple[str, Any]]:
    store, pattern = _open(uri)
    try:
        if not _WILDCARD.search(pattern):
            return [(pattern, store.facts(pattern))]
        listed = store.list_facts(_WILDCARD.split(pattern, maxsplit=1)[0].rpartition("/")[0])
    except NotFound as error:
        raise DataUnreadable(f"{uri} does not exist. Check the bucket and the key.") from error
    except StoreUnavailable as error:
        raise DataUnreadable(
            f"{uri} cannot be read: {_cause(error)}. Check endpoint, region and credentials in the environment."
        ) from error
    found = [(facts["path"], facts) for facts in listed if fnmatch.fnmatchcase(facts["path"], pattern)]
    if not found:
        raise DataUnreadable(f"No object matches {uri}. Check the bucket and the pattern.")
    return found


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
