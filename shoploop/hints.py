"""Commands to type next, complete: they name the store wherever a command would not find it by itself."""

import os
import shlex
from pathlib import Path

from shoploop.store import Store

FALLBACK = ".shoploop"


def default_store() -> str:
    """The store of a command that is given none: SHOPLOOP_STORE, else a folder below the current one."""
    return os.environ.get("SHOPLOOP_STORE") or FALLBACK


def beside_the_user() -> Path:
    """Where what has to lie on this machine does so, when the store is no folder of it."""
    return Path(FALLBACK).absolute()


def command(store: Store, words: str) -> str:
    """``shoploop`` and ``words``, with ``--store`` unless the command would open ``store`` anyway."""
    if _uri(default_store()) == store.uri:
        return f"shoploop {words}"
    place = str(store.folder) if store.folder else store.uri
    return f"shoploop {words} --store {shlex.quote(place)}"


def on_file(word: str, file: Path) -> str:
    """``shoploop`` and a word for a recommender.yaml."""
    return f"shoploop {word} -f {shlex.quote(str(file))}"


def _uri(place: str) -> str:
    """As :class:`Store` writes it, without opening it: that would make the folder."""
    if "://" in place and not place.startswith("file://"):
        return place.rstrip("/")
    return place if place.startswith("file://") else Path(place).absolute().as_uri()
