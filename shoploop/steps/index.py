"""The index of steps that were carried out, by their keys: where the output of each lies in the store.

One index for every place where steps are carried out, so that a laptop and pods find each other's work.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from shoploop.errors import NotFound
from shoploop.store import Store, disk, layout


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A step that was carried out, and what it wrote."""

    key: str
    step: str
    run: str
    """The run that did it."""

    folder: str
    """Key of its output folder in the store."""

    seconds: float
    files: Mapping[str, int] = field(default_factory=dict)
    """Size in bytes of every file, to notice an output that somebody has touched."""

    def is_whole(self, sizes: Mapping[str, int]) -> bool:
        """Whether files of these sizes are all that was written."""
        return bool(self.files) and all(sizes.get(name) == size for name, size in self.files.items())


class Index:
    """Entries of one recommender in a store."""

    def __init__(self, store: Store, name: str):
        self.store, self.name = store, name

    def add(self, entry: Entry) -> None:
        """Durable on return; the output must be in the store before."""
        self.store.put(layout.step_entry(self.name, entry.key), json.dumps(asdict(entry), sort_keys=True).encode())

    def find(self, key: str) -> Entry | None:
        """The entry of ``key``, unless its output is gone or no longer whole."""
        try:
            entry = Entry(**self.store.get_json(layout.step_entry(self.name, key)))
        except (NotFound, ValueError, TypeError):
            return None
        if not disk.is_inner(entry.folder):  # the store may say anything, and this becomes a path
            return None
        return entry if entry.is_whole(self.store.sizes(entry.folder)) else None
