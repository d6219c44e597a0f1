"""The run folder as the report sees it: JSON documents, and for each that is not there the reason.

It knows which step writes which file, and nothing of what the files mean.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoploop.errors import NotFound
from shoploop.versions.artifact import version_id

Json = dict[str, Any]

DOCUMENTS = {
    "load": ("load_data", "data/load.json"),
    "validation": ("validate_data", "validation/validation.json"),
    "features": ("materialize_features", "features/features.json"),
    "samples": ("build_samples", "samples/samples.json"),
    "augmentation": ("augment_samples", "augmentation/augmentation.json"),
    "importance": ("estimate_importance", "importance/importance.json"),
    "training": ("train_fused", "model/training.json"),
    "manifest": ("train_fused", "model/manifest.json"),
    "evaluation": ("evaluate_model", "evaluation/evaluation.json"),
    "gate": ("gate", "gate/gate.json"),
    "bento": ("build_bento", "bento/bento.json"),
}
"""Name in ``report.json`` -> the step that writes it, and where below the run folder."""

OPTIONAL = frozenset({"augmentation", "importance", "search", "shops"})
"""Documents, and parts of several, whose absence needs no explanation: the run was not asked for them."""


class PartMissing(NotFound):
    """A document that this run does not have; the message says why."""


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """What one run left behind."""

    path: Path
    run: Json
    """``run.json``; empty where it is missing."""

    documents: dict[str, Json]
    """By the names of ``DOCUMENTS``; only those that are there and readable."""

    missing: dict[str, str]
    """Document -> one sentence on why it is not there."""

    @property
    def name(self) -> str:
        return str(self.run.get("name") or "recommender")

    @property
    def steps(self) -> list[Json]:
        return [step for step in self.run.get("steps") or [] if isinstance(step, dict)]

    @property
    def failed_step(self) -> Json | None:
        return next((step for step in self.steps if step.get("state") == "failed"), None)

    @property
    def is_renewal(self) -> bool:
        """Whether it brought a version up to date, and trained none."""
        return _is_renewal(self.run)

    @property
    def methods(self) -> dict[str, Json]:
        """The evaluated methods' scores; empty where there is no evaluation."""
        found = self.documents.get("evaluation", {}).get("methods")
        return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}

    @property
    def expectations(self) -> list[Json]:
        """The validated expectations; empty where there is no validation."""
        found = self.documents.get("validation", {}).get("expectations")
        return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []

    @property
    def version(self) -> str | None:
        """Id of the trained version."""
        if "manifest" not in self.documents:
            return None
        return version_id((self.path / DOCUMENTS["manifest"][1]).read_bytes())

    @property
    def asked(self) -> set[str]:
        """Which documents, and parts of several, the run was asked for."""
        steps = [self.documents.get(name, {}) for name in ("samples", "training", "evaluation")]
        surfaces = [surface for surface in ("search", "shops") if any(step.get(surface) for step in steps)]
        return {*self.documents, *self.missing, *surfaces}

    def part(self, name: str) -> Json:
        """The document of that name.

        Raises:
            PartMissing: this run does not have it.
        """
        if name not in self.documents:
            raise PartMissing(self.missing.get(name, f"This run was not asked for {name}."))
        return self.documents[name]


def read_run(path: Path) -> RunFolder:
    """Read whatever a run has left so far; a file that is missing or broken becomes a reason, not an error.

    Raises:
        NotFound: there is no such folder.
    """
    if not path.is_dir():
        raise NotFound(f"There is no run folder {path}. `shoploop runs` lists those there are.")
    documents: dict[str, Json] = {}
    missing: dict[str, str] = {}
    run, problem = _read(path, "run.json")
    if run is None:
        missing["run"] = problem
        run = {}
    for name, (step, file) in DOCUMENTS.items():
        document, problem = _read(path, file)
        if document is not None:
            documents[name] = document
        elif name not in OPTIONAL or (path / file).exists():
            missing[name] = _why(step, run, problem)
    return RunFolder(path=path, run=run, documents=documents, missing=missing)


def read_documents(files: Mapping[str, Path]) -> dict[str, Json]:
    """Those of the named documents that are there and readable."""
    found = {name: _read(path.parent, path.name)[0] for name, path in files.items()}
    return {name: document for name, document in found.items() if document is not None}


def _read(path: Path, file: str) -> tuple[Json | None, str]:
    """The document, or None and what is wrong with its file."""
    try:
        document = json.loads((path / file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, f"There is no {file}."
    except (OSError, ValueError) as error:
        return None, f"{file} cannot be read: {error}."
    if not isinstance(document, dict):
        return None, f"{file} holds no JSON object."
    return document, ""


def _why(step: str, run: Json, problem: str) -> str:
    steps = {s.get("name"): s for s in run.get("steps") or [] if isinstance(s, dict)}
    state = steps.get(step, {}).get("state")
    if state in ("done", "reused"):
        return f"The step {step} ended well, but: {problem}"
    if state == "failed":
        return f"The step {step} failed{_reason(steps[step])}"
    if _is_renewal(run) and state is None:
        return f"A renewal needs no {step}: its weights were trained before, and the run that did has that."
    if state == "running":
        return f"The run ended in the middle of the step {step}."
    for name, other in steps.items():
        if other.get("state") == "failed":
            return f"The step {step} was not reached, because {name} failed."
    return f"The run ended before the step {step}." if steps else problem


def _is_renewal(run: Json) -> bool:
    return any(step.get("name") == "renew_model" for step in run.get("steps") or [] if isinstance(step, dict))


def _reason(step: Json) -> str:
    error = str(step.get("error") or "").strip()
    return f": {error}" if error else "."
