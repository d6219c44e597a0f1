"""Which steps of a run are due. Nothing is written here."""

import json
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import StoreUnavailable
from shoploop.runs.record import Run, StepRun, home_of
from shoploop.steps import STEPS, Entry, needed_by, step_keys
from shoploop.store import Store, disk
from shoploop.versions.signing import Trust, signer_for


def open_store(recommender: Recommender, override: str | None = None) -> Store:
    """The recommender's store; ``override`` (a flag or SHOPLOOP_STORE) comes before the spec.

    Raises:
        StoreUnavailable: it cannot be opened or written.
    """
    spec = recommender.spec.store
    options = {key: value for key, value in (("endpoint", spec.endpoint), ("region", spec.region)) if value}
    if spec.endpoint and spec.endpoint.startswith("http://"):
        options["client_options"] = {"allow_http": True}  # type: ignore[assignment]
    return Store(override or os.environ.get("SHOPLOOP_STORE") or spec.uri, options=options)


def check_space(store: Store, needed_bytes: int = 2 * 2**30) -> None:
    """Refuses to begin where the work cannot be written, or the disk is as good as full.

    Raises:
        StoreUnavailable: the folder cannot be made, or fewer than ``needed_bytes`` are free.
    """
    home = home_of(store)
    try:
        home.mkdir(parents=True, exist_ok=True)
        free = disk.free_bytes(home)
    except OSError as error:
        raise StoreUnavailable(
            f"{home}, where a run keeps its work, cannot be made: {error.strerror}. Start it where you may write."
        ) from error
    if free < needed_bytes:
        raise StoreUnavailable(
            f"{home} has {free / 2**30:.1f} GiB free; a run needs {needed_bytes / 2**30:.0f}. "
            "Free some, or name another store."
        )


def plan(recommender: Recommender, store: Store, *, until: str | None = None) -> Run:
    """Finds out which steps are due. Nothing is written yet.

    Args:
        until: A step that is wanted alone, with those it needs.

    Raises:
        DataUnreadable, SpecInvalid: the raw tables cannot be found.
        KeyUnusable, KeyUntrusted: a signature is required of what the run makes, and nobody here can give one.
    """
    from shoploop.data import source_digest
    from shoploop.versions import promotions

    refuse_unbuilt(recommender.spec, place="Machine")
    trust = Trust.configured(recommender.spec.signing)
    if until is None:
        signer_for(trust)  # better now than when all is trained
    name = recommender.metadata.name
    home = home_of(store)
    index = home / "recommenders" / name / "work" / "steps"
    keys, incumbent = keys_and_incumbent(
        recommender,
        source=source_digest(recommender.spec.data),
        serving=promotions.serving_version(store, name),
        trained=lambda key: Path(entry.out) if (entry := Entry.find(index, key)) else None,
    )
    run = Run(
        id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        recommender=recommender,
        store=store,
        home=home,
        keys=keys,
        incumbent=incumbent,
        steps={name: StepRun(name=name) for name in (needed_by(until) if until else STEPS)},
        until=until,
    )
    for name, step in run.steps.items():
        if entry := Entry.find(index, keys[name]):
            step.state, step.seconds, step.out = "reused", entry.seconds, entry.out
    return run


def keys_and_incumbent(
    recommender: Recommender, *, source: str, serving: str | None, trained: Callable[[str], Path | None]
) -> tuple[dict[str, str], str | None]:
    """The steps' cache keys, and the version that a new one is compared with.

    Args:
        recommender: Whose run it is.
        source: Digest of the raw tables.
        serving: The version that serves now.
        trained: Finds the version folder that the training step of a key wrote, if it was carried out before.
    """
    keys = step_keys(recommender.spec, source=source, incumbent=serving)
    model = trained(keys["train_fused"])
    if serving and model and _version_of(model) == serving:
        # Nothing new would be trained: the version that serves is compared with what it was compared with at first.
        serving = _manifest(model)["lineage"].get("parent")
        keys = step_keys(recommender.spec, source=source, incumbent=serving)
    return keys, serving


def _manifest(model: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((model / "manifest.json").read_bytes())
    return manifest


def _version_of(model: Path) -> str:
    from shoploop.versions.artifact import version_id

    return version_id((model / "manifest.json").read_bytes())
