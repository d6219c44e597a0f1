"""Steps inside a pod: ``python -m shoploop.steps run --steps load_data,... --spec FILE --run ID --store URI``.

And, as ``python -m shoploop.steps source --data JSON``, whether there is anything new to run for.

Folders pass from pod to pod through the store; where that is a mounted folder, steps write into it directly. A step
whose key is in the store's index is not carried out again, whichever run did it, and a pod that was killed begins at
the step it was at. What came of it all is the container's termination message, which the operator reads.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from shoploop import __version__
from shoploop.api import parse
from shoploop.api.pod_result import DataSeen, Incumbent, PartDone, Result, StepsFailed, VersionMade, written
from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.api.v1alpha1 import DataSpec, Recommender
from shoploop.compute.device import VARIABLE as DEVICE_VARIABLE
from shoploop.compute.device import asks_for
from shoploop.errors import ShoploopError, SpecInvalid
from shoploop.exits import guarded
from shoploop.resuming.kept_work import KeptWork
from shoploop.runs import keys_and_incumbent, open_store, publish, write_report
from shoploop.steps import STEPS, Step, run_step, settings_of
from shoploop.store import Store, disk
from shoploop.versions.keys import TRUSTED_KEYS
from shoploop.versions.signing import Trust

TERMINATION_LOG = Path(os.environ.get("SHOPLOOP_TERMINATION_LOG", "/dev/termination-log"))
SERVING_ANNOTATION = "shoploop.io/serving"
"""On the Recommender that the operator hands to a run: the version that serves."""


class Job:
    """Some steps of one run, with the store between them."""

    def __init__(self, recommender: Recommender, store: Store, run: str, work: Path):
        from shoploop.data import source_digest
        from shoploop.versions import promotions

        self.recommender, self.store, self.work = recommender, store, work
        self.name = recommender.metadata.name
        self.run_key = f"recommenders/{self.name}/runs/{run}"
        self.run = run
        self._kept: KeptWork | None = None
        self.source = source_digest(recommender.spec.data)
        self.keys, self.incumbent = keys_and_incumbent(
            recommender,
            source=self.source,
            serving=told_serving(recommender) or promotions.serving_version(store, self.name),
            trained=self._trained,
        )

    def carry_out(self, names: list[str]) -> Result:
        """Runs the named steps in order; with the last step of all, publishes the version and writes the report.

        Returns:
            What the operator needs to know of it.
        """
        for name in names:
            self._step(name)
        if names[-1] != list(STEPS)[-1]:
            return PartDone()
        folder = self._collect()
        verdict = publish(self.store, self.name, folder, self.trust())
        self._record(folder, verdict)
        write_report(self.store, self.run_key, folder)
        evaluation = json.loads((folder / "evaluation" / "evaluation.json").read_bytes())
        measured = evaluation["methods"]["fused"].items()
        seen = verdict["incumbent"]
        return VersionMade(
            version=verdict["version"],
            parent=self.incumbent,
            source=self.source,
            metrics={key: value for key, value in measured if isinstance(value, float) and math.isfinite(value)},
            rule=verdict["rule"],
            passed=verdict["passed"],
            reason=verdict["reason"],
            incumbent=Incumbent(**seen) if seen else None,
            digest=verdict["bento"],
        )

    def trust(self) -> Trust:
        """Whose signatures count: as the operator says now, else as the spec said when the run began."""
        return Trust.configured(None if os.environ.get(TRUSTED_KEYS) else self.recommender.spec.signing)

    def _step(self, name: str) -> None:
        step = STEPS[name]
        if self._find(self.keys[name]) is not None:
            print(f"{name}: unchanged, reused", flush=True)
            return
        inputs = {output: self._folder(output) for output in step.inputs}
        if name == "evaluate_model" and self.incumbent:
            inputs["incumbent"] = self._incumbent_folder()
        key = f"{self.run_key}/{step.output}"
        out = self.store.path(key) or self.work / key
        shutil.rmtree(out, ignore_errors=True)  # what a killed pod left half written
        settings = settings_of(self.recommender.spec, step) | (
            {"parent": self.incumbent} if name == "train_fused" else {}
        )
        began = time.monotonic()
        print(f"{name}: {step.says}", flush=True)
        os.environ[DEVICE_VARIABLE] = asks_for(self.recommender.spec.training.resources.gpu if step.gpu else 0)
        cache, kept = self._cache(step)
        with kept.followed() if kept else contextlib.nullcontext():
            run_step(name, settings=settings, inputs=inputs, out=out, cache=cache)
        if self.store.folder is None:
            self.store.put_folder(key, out)
        entry = {"folder": key, "seconds": time.monotonic() - began}
        self.store.put(self._index(self.keys[name]), json.dumps(entry).encode())
        print(f"{name}: done in {entry['seconds']:.1f} s", flush=True)

    def _cache(self, step: Step) -> tuple[Path | None, KeptWork | None]:
        """Where the step keeps work: in the store, or for a remote one in the pod, brought there and back."""
        if not step.caches:
            return None, None
        key = f"recommenders/{self.name}/work/steps-cache"
        if (mounted := self.store.path(key)) is not None:
            return mounted, None
        if self._kept is None:
            self._kept = KeptWork(self.store, key, self.work / key)
            self._kept.fetch()
        return self._kept.local, self._kept

    def _folder(self, output: str) -> Path:
        entry = self._find(self.keys[next(step.name for step in STEPS.values() if step.output == output)])
        if entry is None:
            raise ShoploopError(f"Run {self.run} has no {output!r} yet: its step must come before this one.")
        return self._fetched(entry["folder"])

    def _fetched(self, key: str) -> Path:
        if (mounted := self.store.path(key)) is not None:
            return mounted
        target = self.work / key
        if not target.exists():
            with disk.whole_folder(target) as aside:
                self.store.get_folder(key, aside)
        return target

    def _incumbent_folder(self) -> Path:
        """A copy of the incumbent; one that is gone leaves no folder, and the evaluation tells that."""
        from shoploop.versions.stored import fetch_incumbent

        version = str(self.incumbent)
        return fetch_incumbent(self.store, self.name, version, self.work / "incumbents" / version, self.trust())

    def _index(self, key: str) -> str:
        return f"recommenders/{self.name}/work/keys/{key}.json"

    def _find(self, key: str) -> dict[str, Any] | None:
        if not self.store.exists(self._index(key)):
            return None
        entry: dict[str, Any] = self.store.get_json(self._index(key))
        return entry if next(iter(self.store.list(f"{entry['folder']}/")), None) else None

    def _trained(self, key: str) -> Path | None:
        entry = self._find(key)
        return self._fetched(entry["folder"]) if entry else None

    def _collect(self) -> Path:
        """This run's folder with every step's output in it, also of the steps that were reused."""
        target = self.store.path(self.run_key) or self.work / self.run_key
        for step in STEPS.values():
            source = self._folder(step.output)
            if not (target / step.output).exists():
                disk.link_tree(source, target / step.output)
        return target

    def _record(self, folder: Path, verdict: dict[str, Any]) -> None:
        steps = []
        for name, step in STEPS.items():
            entry = self._find(self.keys[name]) or {"folder": "", "seconds": 0.0}
            done = entry["folder"] == f"{self.run_key}/{step.output}"
            steps.append({"name": name, "state": "done" if done else "reused", "seconds": entry["seconds"]})
        record = {
            "name": self.name,
            "run": self.run,
            "shoploop": __version__,
            "spec": self.recommender.model_dump(mode="json", by_alias=True, exclude_none=True),
            "incumbent": self.incumbent,
            "version": verdict["version"],
            "passed": verdict["passed"],
            "steps": steps,
            "wall_seconds": sum(step["seconds"] for step in steps if step["state"] == "done"),
        }
        disk.write_json(folder / "run.json", record)


def told_serving(recommender: Recommender) -> str | None:
    """The version that serves, where the operator says so: on a cluster it promotes, and does not reach the store."""
    annotations = (recommender.metadata.model_extra or {}).get("annotations") or {}
    return annotations.get(SERVING_ANNOTATION)


def _say(result: Result) -> None:
    """Leaves the container's termination message; outside a container there is no such file."""
    with contextlib.suppress(OSError):
        TERMINATION_LOG.write_text(written(result), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shoploop.steps", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="carry out steps of a run")
    run.add_argument("--steps", required=True, help=f"of {', '.join(STEPS)}")
    run.add_argument("--spec", type=Path, required=True, help="the Recommender as JSON or YAML")
    run.add_argument("--run", required=True, help="id of the run")
    run.add_argument("--store", help="URL that comes before the spec's store")
    run.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "shoploop")
    source = verbs.add_parser("source", help="tell the digest of the data as they now are")
    source.add_argument("--data", required=True, help="the section data of the spec, as JSON")
    wanted = parser.parse_args(arguments)

    def carry_out(**_: object) -> None:
        names = wanted.steps.split(",")
        if unknown := [name for name in names if name not in STEPS]:
            raise SpecInvalid(f"Unknown steps: {', '.join(unknown)}. There are {', '.join(STEPS)}.")
        recommender = parse(wanted.spec.read_text(), source=str(wanted.spec))
        refuse_unbuilt(recommender.spec, place="Cluster")
        wanted.work.mkdir(parents=True, exist_ok=True)
        store = open_store(recommender, wanted.store)
        job: Job | None = None
        try:
            job = Job(recommender, store, wanted.run, wanted.work)
            _say(job.carry_out(names))
        except ShoploopError as error:
            _say(StepsFailed(error=type(error).__name__, message=str(error), source=job.source if job else None))
            raise

    def tell_source(**_: object) -> None:
        from shoploop.data import source_digest

        try:
            _say(DataSeen(source=source_digest(DataSpec.model_validate_json(wanted.data))))
        except ShoploopError as error:
            _say(StepsFailed(error=type(error).__name__, message=str(error)))
            raise

    return guarded(carry_out if wanted.verb == "run" else tell_source)
