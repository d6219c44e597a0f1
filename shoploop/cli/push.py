"""``shoploop data push``: one's own files into the store, and the YAML that reads them there."""

import os
import sys
from pathlib import Path
from typing import Any

import yaml

from shoploop.api.fields import API_VERSION
from shoploop.hints import on_file

MEGABYTE = 10**6


def push_data(file: Path, store_override: str | None) -> None:
    """Copies, says how far it is on stderr, and prints nothing but the YAML on stdout."""
    from shoploop.api import load
    from shoploop.cli.run import load_with_data
    from shoploop.data.pushing import PICTURES, push_tables
    from shoploop.runs import open_store

    recommender = load_with_data(file)
    store = open_store(recommender, store_override)
    pushed = push_tables(recommender.metadata.name, recommender.spec.data, store, _Watcher())
    for table, one in pushed.items():
        _say(f"{table}: {one.files:,} files, {one.bytes / MEGABYTE:,.1f} MB, {one.copied:,} copied now; {one.uri}")
    if PICTURES in pushed:
        _say(
            "The column image is to hold paths below that folder; URLs that begin with where it lies here name nothing there."
        )
    if not pushed:
        _say("Every table lies where pods can reach it; nothing was copied.")
    if store.folder is not None:
        _say(
            f"{store.folder} is a folder of this machine. Pods read it only where spec.store.claim brings them the same "
            "folder; name a store that they can reach with --store, e.g. s3://bucket/prefix."
        )
    written = load(file).model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": "Recommender"} | written
    document["metadata"] = {"name": recommender.metadata.name} | written.get("metadata", {})
    for table, one in pushed.items():
        section = document["spec"]["data"]["tables"]
        for part in table.split("."):
            section = section[part]
        section["uri"] = one.uri
    if store.folder is None:
        document["spec"]["store"] = document["spec"].get("store", {}) | _store_section(store.uri)
        if "secretRef" not in document["spec"]["store"]:
            _say(
                "Pods read it with the keys of a Secret: name one in spec.store.secretRef, unless the cluster grants access."
            )
    print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), end="")
    _say(f"Save it, and give it to kubectl apply -f; {on_file('run', Path('FILE'))} takes it too.")


def _store_section(uri: str) -> dict[str, str]:
    """The store as this command found it: address and region come from the environment."""
    found = {"endpoint": os.environ.get("AWS_ENDPOINT_URL"), "region": os.environ.get("AWS_REGION")}
    return {"uri": uri} | {name: value for name, value in found.items() if value}


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


class _Watcher:
    """A line for each further tenth of a table; on a terminal one line that grows."""

    def __init__(self) -> None:
        self.tenth: dict[str, int] = {}

    def __call__(self, table: str, done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if self.tenth.get(table, 0) == tenth and done != total:
            return
        self.tenth[table] = tenth
        text = f"{table}: {done / MEGABYTE:,.1f} of {total / MEGABYTE:,.1f} MB"
        if sys.stderr.isatty():
            print(f"\r{text}", end="" if done < total else "\n", file=sys.stderr, flush=True)
        elif total > 10 * MEGABYTE:
            _say(text)
