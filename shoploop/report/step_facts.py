"""What is worth showing of one step alone: a few facts, a table, and a page; from the JSON that it wrote.

Kubeflow shows them beside the step's box. The facts are plain values, for an artifact's metadata.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoploop.report import (
    augmentation,
    examples,
    frame,
    importance,
    learning,
    quality,
    results,
    searching,
    shopping,
    verdict,
    words,
)
from shoploop.report.run_folder import DOCUMENTS, Json, PartMissing, RunFolder, read_documents

PAGES: dict[str, tuple[Callable[[RunFolder], frame.Section], ...]] = {
    "load_data": (quality.data,),
    "validate_data": (quality.quality,),
    "build_samples": (),
    "augment_samples": (augmentation.section,),
    "estimate_importance": (importance.section,),
    "train_fused": (learning.training, learning.features),
    "evaluate_model": (
        results.alternatives,
        results.slices,
        examples.examples,
        searching.section,
        shopping.section,
        learning.candidates,
        learning.fusion,
        results.calibration,
    ),
    "gate": (verdict.gate,),
}
"""Sections of the run's report that a step's own numbers fill."""

LONGEST_TEXT = 500


@dataclass(frozen=True, kw_only=True)
class Classification:
    """A classifier that the step judges by."""

    categories: tuple[str, str]
    """What is not to be found, and what is."""

    false_positive_rate: tuple[float, ...]
    """Points of its ROC curve; none where it had one kind alone before it."""

    true_positive_rate: tuple[float, ...]
    threshold: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    """By the truth, then by what it was called."""


@dataclass(frozen=True, kw_only=True)
class StepFacts:
    metadata: dict[str, Any]
    """Name to text or number."""

    metrics: dict[str, float]
    markdown: str
    classification: Classification | None = None
    """Of the step that judges by a classifier."""


def document_of(step: str, folder: Path) -> Json:
    """The document that a step wrote into its output ``folder``; empty where there is none."""
    return next(iter(_read(folder, step).documents.values()), {})


def facts(step: str, document: Json) -> StepFacts:
    """What ``document``, a step's own, comes to."""
    found = {name: _plain(value) for name, value in _facts(step, document) if value is not None}
    metrics = _metrics(document) if step == "evaluate_model" else {}
    rows = [*found.items(), *((name, f"{value:.4f}") for name, value in metrics.items())]
    lines = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows]
    return StepFacts(
        metadata=found,
        metrics=metrics,
        markdown="\n".join(["| what | |", "| --- | --- |", *lines]) + "\n",
        classification=_classification(step, document),
    )


def step_page(step: str, folder: Path, *, title: str) -> str:
    """A step's own report: one HTML document that needs nothing outside itself.

    Args:
        folder: What the step has written.
    """
    run = _read(folder, step)
    told = facts(step, document_of(step, folder))
    columns = [frame.Column(title="What"), frame.Column(title="")]
    rows = [frame.Row(cells=[name, str(value)]) for name, value in (told.metadata | told.metrics).items()]
    sections = [_try(run, make) for make in PAGES.get(step, ())]
    body = frame.table("Facts", columns, rows)
    masthead = frame.render(
        "command_masthead.html",
        command=step,
        name=title.partition(":")[0],
        tone="good",
        sign="✓",
        state="Done",
        headline=title.partition(": ")[2] or title,
        sentence="What this step alone came to. The page of the whole run is at the step that publishes the version.",
        facts=frame.facts(
            [frame.Fact(title=name, value=words.decimal(value)) for name, value in list(told.metrics.items())[:4]]
        )
        if told.metrics
        else "",
    )
    return frame.page(
        title=f"{title} · shoploop",
        masthead=masthead,
        sections=[
            *([frame.Section(id="facts", title="In short", body=body)] if rows else []),
            *(section for section in sections if section and not section.absent),
        ],
        footer="Written by shoploop.",
    )


def _try(run: RunFolder, make: Callable[[RunFolder], frame.Section]) -> frame.Section | None:
    """A section, or None where this step's document does not fill it: a page must not cost a step its result."""
    try:
        return make(run)
    except (PartMissing, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _read(folder: Path, step: str) -> RunFolder:
    """The step's documents alone, as if they lay in a run's folder."""
    files = {name: folder / Path(file).name for name, (owner, file) in DOCUMENTS.items() if owner == step}
    documents = read_documents(files)
    return RunFolder(path=folder, run={}, documents=documents, missing={})


def _classification(step: str, document: Json) -> Classification | None:
    """The judge of virtual behaviour, or who finds labels that were flipped on purpose; None where neither is there, or the
    document is of an earlier release."""
    if step == "augment_samples":
        categories, curve = ("real", "virtual"), (document.get("fidelity") or {}).get("curve")
    elif step == "estimate_importance":
        check = document.get("self_check") or {}
        categories = ("as it was", "flipped")
        curve = ((check.get("detection") or {}).get(check.get("preferred")) or {}).get("curve")
    else:
        return None
    if not curve:
        return None
    roc = curve.get("roc") or {}
    return Classification(
        categories=categories,
        false_positive_rate=tuple(roc.get("false_positive_rate") or ()),
        true_positive_rate=tuple(roc.get("true_positive_rate") or ()),
        threshold=tuple(roc.get("threshold") or ()),
        confusion=tuple(map(tuple, curve.get("confusion") or ())),
    )


def _metrics(document: Json) -> dict[str, float]:
    """Of the fused model, which is what would serve."""
    fused = (document.get("methods") or {}).get("fused") or {}
    return {name: value for name, value in fused.items() if isinstance(value, float) and math.isfinite(value)}


def _facts(step: str, document: Json) -> Iterator[tuple[str, Any]]:
    match step:
        case "load_data":
            for name, table in (document.get("tables") or {}).items():
                yield f"rows of {name}", table.get("rows")
                yield f"sha256 of {name}", table.get("sha256")
        case "validate_data":
            found = [one for one in document.get("expectations") or [] if isinstance(one, dict)]
            yield "expectations", len(found)
            yield "broken", sum(not one.get("success", one.get("passed", True)) for one in found)
        case "materialize_features":
            for name in ("users", "items", "features", "contract"):
                yield name, document.get(name)
            for name, rows in (document.get("rows") or {}).items():
                yield f"rows of {name}", rows
            for partition, gain in (document.get("habits") or {}).items():
                told = "a feature" if gain["told"] else "no feature: less than this part of all visits tells"
                numbers = f"{gain['gain']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] a purchase"
                yield f"habits by {partition}", f"{numbers}; {told}"
        case "build_samples":
            for name, split in (document.get("splits") or {}).items():
                for what in ("requests", "rows"):
                    yield f"{what} of {name}", split.get(what) if isinstance(split, dict) else None
            yield "items", document.get("items")
            yield "features", document.get("features")
        case "augment_samples":
            yield "variant", document.get("variant") or ("none" if document else None)
            yield "reason", document.get("reason")
            yield "samples added", document.get("samples_added")
            for name, tried in (document.get("variants") or {}).items():
                yield f"ndcg@10 gain of {name}", tried.get("ndcg@10_gain")
            for check in ("fidelity", "privacy"):
                if check in document:
                    yield f"{check} passed", document[check].get("passed")
        case "estimate_importance":
            judged = document.get("verdict") or {}
            yield "used", judged.get("used")
            yield "reason", judged.get("reason")
            for method, detected in ((document.get("self_check") or {}).get("detection") or {}).items():
                yield f"detection auc of {method}", detected.get("auc")
        case "train_fused":
            for name in ("version", "parameters", "weighted", "seconds"):
                yield name, document.get(name)
            for surface, alpha in (document.get("alpha") or {}).items():
                yield f"α of {surface}", alpha
            for split, requests in (document.get("requests") or {}).items():
                yield f"requests of {split}", requests
        case "evaluate_model":
            for name in ("users", "requests"):
                yield name, document.get(name)
            yield "days", " to ".join(map(str, document.get("days") or [])) or None
        case "gate":
            for name in ("passed", "reason", "rule", "metric"):
                yield name, document.get(name)
        case "build_bento":
            for name in ("version", "sha256", "bytes"):
                yield name, document.get(name)


def _plain(value: Any) -> str | int | float:
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
        text = (
            value if isinstance(value, str) else ("yes" if value else "no") if isinstance(value, bool) else str(value)
        )
        return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    return value


def _cell(value: Any) -> str:
    """Text within a Markdown table: nothing in it is markup."""
    text = " ".join(str(value).split())
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, "\\" + sign)
    return text
