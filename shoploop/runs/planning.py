"""What a run is, and which of its steps are due: planned once, whoever carries it out."""

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound, StoreUnavailable
from shoploop.steps import STEPS, Entry, Membership, Workspace, home_of, needed_by, step_keys
from shoploop.store import Store, disk, layout


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a recommender, as somebody asked for it."""

    id: str
    recommender: Recommender
    until: str | None = None
    """The step it ends with, where that is not the last of all; such a run makes no version and is in no list, and its
    folder is that of the last one."""

    serving: str | None = None
    """The version that serves, where who asked knows better than the store: on a cluster the operator promotes."""

    @property
    def name(self) -> str:
        return self.recommender.metadata.name

    @property
    def key(self) -> str:
        """Its folder in the store."""
        return layout.run(self.name, self.id) if self.until is None else layout.only(self.name, self.until)

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps it is made of, in their order."""
        return tuple(needed_by(self.until) if self.until else STEPS)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that was planned: the keys of its steps, and which of them were carried out before."""

    run: Run
    source: str
    """Digest of the raw tables."""

    incumbent: str | None
    """The version that a new one is compared with."""

    after: int | None = None
    """Number of the last promotion when it was planned, 0 for none; None where nobody knows."""

    keys: Mapping[str, str]
    collected: int = 0
    """Number of the last cut of collected events that the run learns from; 0 for none."""

    found: Mapping[str, Entry] = field(default_factory=dict)
    """Steps that are done already; whoever did them."""

    @property
    def due(self) -> tuple[str, ...]:
        """Steps that have to be carried out, in their order."""
        return tuple(name for name in self.run.steps if name not in self.found)

    @property
    def raw(self) -> str:
        """Names all that the first step reads."""
        return _raw(self.source, self.collected)

    def seen_again(self, workspace: Workspace) -> "Plan":
        """The same plan, with what has been done since."""
        entries = {name: find_done(workspace, self.keys[name], self.run.id) for name in self.run.steps}
        return replace(self, found={name: entry for name, entry in entries.items() if entry is not None})

    def membership(self, workspace: Workspace) -> Membership:
        return Membership(workspace=workspace, run=self.run.id, keys=self.keys)

    def as_json(self) -> dict[str, Any]:
        """What ``plan.json`` holds; what is done stands in the index alone."""
        return {
            "run": self.run.id,
            "recommender": self.run.recommender.model_dump(mode="json", by_alias=True, exclude_none=True),
            "until": self.run.until,
            "serving": self.run.serving,
            "source": self.source,
            "collected": self.collected,
            "incumbent": self.incumbent,
            "after": self.after,
            "keys": dict(self.keys),
        }


def new_run(recommender: Recommender, *, until: str | None = None) -> Run:
    """A run that nobody has begun yet; ids sort by time. What it makes is compared with the pinned version, if one is."""
    return Run(
        id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        recommender=recommender,
        until=until,
        serving=recommender.spec.serving.pinned_version,
    )


RUN_ID = re.compile(r"\d{8}-\d{4,6}(-[0-9a-z]+)*")
"""Of a run, here or on a cluster; other names in a folder of runs are somebody else's."""


def make_plan(run: Run, workspace: Workspace) -> Plan:
    """Finds out which steps are due. Nothing is written.

    Raises:
        DataUnreadable, SpecInvalid: the raw tables cannot be found.
    """
    from shoploop.data import source_digest
    from shoploop.versions import promotions

    def trained(key: str) -> Path | None:
        entry = workspace.index.find(key)
        return workspace.output(entry) if entry else None

    source = source_digest(run.recommender.spec.data)
    collected = _last_cut(run, workspace)
    history = promotions.promotions(workspace.store, run.name)
    keys, incumbent = keys_and_incumbent(
        run.recommender,
        source=_raw(source, collected),
        serving=run.serving or (history[-1].version if history else None),
        trained=trained,
    )
    after = history[-1].number if history else 0
    plan = Plan(run=run, source=source, incumbent=incumbent, after=after, keys=keys, collected=collected)
    return plan.seen_again(workspace)


def _last_cut(run: Run, workspace: Workspace) -> int:
    if not run.recommender.spec.data.feedback:
        return 0
    from shoploop.events.cuts import last_cut

    return last_cut(workspace.store, run.name)


def _raw(source: str, collected: int) -> str:
    return f"{source}+{collected}" if collected else source


def open_plan(run: Run, workspace: Workspace) -> Plan:
    """The plan that was made for this run, by an earlier pod of it for instance; made now and kept where there is none.

    A plan by other code, or for another spec, is made anew: its keys would name what this code does not do.
    """
    try:
        plan = read_plan(run.key, workspace)
    except NotFound:
        plan = None
    if (
        plan
        and plan.run == run
        and plan.keys == step_keys(run.recommender.spec, source=plan.raw, incumbent=plan.incumbent)
    ):
        return plan.seen_again(workspace)
    plan = make_plan(run, workspace)
    keep_plan(plan, workspace)
    return plan


def keep_plan(plan: Plan, workspace: Workspace) -> None:
    workspace.store.put(layout.run_plan(plan.run.key), json.dumps(plan.as_json(), indent=1).encode())


def read_plan(run_key: str, workspace: Workspace) -> Plan:
    """The plan of a run that was begun.

    Raises:
        NotFound: there is none, or it cannot be read.
    """
    key = layout.run_plan(run_key)
    try:
        document = workspace.store.get_json(key)
        run = Run(
            id=document["run"],
            recommender=Recommender.model_validate(document["recommender"]),
            until=document["until"],
            serving=document["serving"],
        )
        return Plan(
            run=run,
            source=document["source"],
            incumbent=document["incumbent"],
            after=document.get("after"),  # plans of earlier versions have none
            keys=document["keys"],
            collected=document["collected"],
        ).seen_again(workspace)
    except (ValueError, KeyError, TypeError) as error:
        raise NotFound(f"{workspace.store.url(key)} is damaged. Run the recommender again.") from error


def find_done(workspace: Workspace, key: str, run: str) -> Entry | None:
    """What was done by this key, as far as it counts for ``run``.

    A comparison that another run could not make, as the version that serves could not be read, is made again: it may have
    been brought back, or be trusted by now.
    """
    entry = workspace.index.find(key)
    if entry is None or (entry.run != run and _lacks_incumbent(workspace, entry)):
        return None
    return entry


def _lacks_incumbent(workspace: Workspace, entry: Entry) -> bool:
    """Whether a step's output says that the version that serves could not be read."""
    files = {"evaluate_model": "evaluation.json", "gate": "gate.json", "build_bento": "bento.json"}
    file = files.get(entry.step)
    if file is None:
        return False
    try:
        document = workspace.store.get_json(f"{entry.folder}/{file}")
        unread = (document.get("gate", document).get("incumbent") or {}).get("unread")
        return unread is True or document.get("incumbent_unread") is True
    except (NotFound, ValueError, AttributeError):
        return False


def keep_link(store: Store, run_key: str, job: str, *, endpoint: str, cancelled: bool = False) -> None:
    """Keeps which run of Kubeflow Pipelines a run is, and whether somebody here has asked for its end.

    Args:
        job: Id of the run there.
        endpoint: Address of the server; empty where it is not known.
    """
    known = read_link(store, run_key)
    document = {"job": job, "endpoint": endpoint or (known or {}).get("endpoint", ""), "cancelled": cancelled}
    store.put(layout.run_link(run_key), json.dumps(document, indent=1).encode())


def read_link(store: Store, run_key: str) -> dict[str, Any] | None:
    """What :func:`keep_link` has kept; None where the run is none of Kubeflow's."""
    try:
        found = store.get_json(layout.run_link(run_key))
    except (NotFound, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("job"), str) else None


def find_linked(store: Store, name: str, job: str) -> str | None:
    """The run that is Kubeflow's run ``job``."""
    for run in sorted(store.folders(layout.runs(name)), reverse=True):
        if (link := read_link(store, layout.run(name, run))) and link["job"] == job:
            return run
    return None


def keys_and_incumbent(
    recommender: Recommender, *, source: str, serving: str | None, trained: Callable[[str], Path | None]
) -> tuple[dict[str, str], str | None]:
    """The steps' cache keys, and the version that a new one is compared with.

    Args:
        recommender: Whose run it is.
        source: Names all that the first step reads.
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
