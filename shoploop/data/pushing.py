"""One's own files into the store, so that pods can read them: by the digest of what they hold, each file once. Tables, and
the pictures that a table of items names.

A copy that was broken off goes on: what lies there already is not copied again. Nothing refers to a copy before it is whole.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data import databases, sources
from shoploop.data.inputs import image_of
from shoploop.data.picture_files import pictures_below
from shoploop.errors import DataUnreadable, SpecInvalid
from shoploop.store import Store, disk, layout

PICTURES = "items.image"
"""What the pictures of items are called among the tables."""

Told = Callable[[str, int, int], None]
"""Table, bytes done, bytes in all."""


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """A table whose files lie in the store."""

    uri: str
    files: int
    copied: int
    """Of them those that were not there before."""

    bytes: int


def push_tables(
    name: str, data: DataSpec, store: Store, told: Told = lambda table, done, total: None
) -> dict[str, Pushed]:
    """Copies the files of every table that lies on this machine, and of a folder of pictures on it.

    Args:
        name: Of the recommender.
        data: With absolute uris (see :func:`shoploop.data.inputs.resolve_uris`).
        store: Where to.
        told: Called as it goes on.

    Returns:
        By table, and the pictures by :data:`PICTURES`; what lies elsewhere is not among them.

    Raises:
        SpecInvalid: the data are a known dataset, or a table is a database's file.
        NotFound: there is no folder of pictures.
        DataUnreadable: a file is missing, cannot be read, or changed while it was copied; or the folder holds no picture.
        StoreUnavailable: the store did not take it.
    """
    if data.tables is None:
        raise SpecInvalid(f"spec.data.dataset is {data.dataset}, which pods bring along: there is nothing to push.")
    here = {}
    for table, source in data.tables:
        scheme = databases.scheme_of(source.uri) if source is not None else ""
        if source is None or scheme in databases.SERVERS or (not scheme and sources.is_remote(source.uri)):
            continue
        if scheme:
            raise SpecInvalid(
                f"spec.data.tables.{table}: {source.uri} is a database's file, which pods cannot read from a store. Write "
                "the table as Parquet and name that."
            )
        here[table] = sources.local_tree(source.uri)
    image = image_of(data)
    if image is not None and image.encoder is not None and Path(image.encoder).is_dir():
        raise SpecInvalid(
            f"spec.data.tables.items.image.encoder: {image.encoder} is a folder of this machine, which pods cannot read. "
            "Leave it out, so that one is trained with the model, or copy it to where pods read it and name that."
        )
    shown = {} if image is None or sources.is_remote(image.uri) else pictures_below(image.uri)
    pushed = {}
    for table, tree in here.items():
        copied = _push(name, table, tree.files, store, told)
        pushed[table] = replace(copied, uri=_uri(store, copied.uri, tree))
    if shown:
        copied = _push(name, PICTURES, shown, store, told)
        pushed[PICTURES] = replace(copied, uri=_place(store, copied.uri))
    return pushed


def _push(name: str, table: str, files: Mapping[str, Path], store: Store, told: Told) -> Pushed:
    """Copies files, by their paths below what they have in common; ``uri`` is the folder's key."""
    before = {inner: _state(path) for inner, path in files.items()}
    digests = {inner: _digest(path) for inner, path in files.items()}
    whole = hashlib.sha256("".join(f"{inner} {digest}\n" for inner, digest in digests.items()).encode()).hexdigest()
    folder = layout.pushed(name, table, whole)
    there, total = store.sizes(folder), sum(size for size, _ in before.values())
    done = copied = 0
    for inner, path in files.items():
        size, _ = before[inner]
        if there.get(inner) != size:
            store.put_file(f"{folder}/{inner}", path)
            copied += 1
            if _state(path) != before[inner]:
                store.delete(f"{folder}/{inner}")
                raise DataUnreadable(f"{path} changed while it was copied. Push again once it is at rest.")
        done += size
        told(table, done, total)
    return Pushed(uri=folder, files=len(files), copied=copied, bytes=total)


def _uri(store: Store, folder: str, tree: sources.Tree) -> str:
    """What a reading of the copies has to name to read what a reading of the files did."""
    inner = folder
    if tree.single:
        inner = f"{folder}/{next(iter(tree.files))}"
    elif not sources.is_all_data(list(tree.files)):
        inner = f"{folder}/**" if any("/" in name for name in tree.files) else f"{folder}/*"
    return _place(store, inner)


def _place(store: Store, key: str) -> str:
    return str(store.folder / key) if store.folder else store.url(key)


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataUnreadable(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    return found.st_size, found.st_mtime_ns


def _digest(path: Path) -> str:
    try:
        return disk.digest_of(path)
    except OSError as error:
        raise DataUnreadable(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
