"""From a run folder to ``report.html`` and ``report.json``: the order of the sections, and what if one is bad."""

from collections.abc import Callable
from pathlib import Path

from shoploop.errors import with_no_passwords
from shoploop.report import (
    augmentation,
    examples,
    frame,
    importance,
    learning,
    process,
    quality,
    results,
    searching,
    shopping,
    verdict,
)
from shoploop.report.run_folder import OPTIONAL, Json, PartMissing, RunFolder, read_run
from shoploop.store import disk

SECTIONS: tuple[tuple[str, str, Callable[[RunFolder], frame.Section]], ...] = (
    ("gate", "The gate", verdict.gate),
    ("results", "Against the alternatives", results.alternatives),
    ("slices", "For whom it works", results.slices),
    ("examples", "What shoppers are shown", examples.examples),
    ("search", searching.TITLE, searching.section),
    ("shops", shopping.TITLE, shopping.section),
    ("candidates", "What it can choose from", learning.candidates),
    ("fusion", "How the two networks are mixed", learning.fusion),
    ("feature-importance", "What it looks at", learning.features),
    ("calibration", "Do its promises hold", results.calibration),
    ("training", "How it was trained", learning.training),
    ("augmentation", augmentation.TITLE, augmentation.section),
    ("importance", importance.TITLE, importance.section),
    ("quality", "Is the data as expected", quality.quality),
    ("data", "The data", quality.data),
    ("steps", "Time and memory", process.steps),
    ("provenance", "What was run", process.provenance),
)
"""Anchor, title and maker of every section, in the order of the page."""


def build(run: Path) -> Path:
    """Write ``report.html`` and ``report.json`` into a run folder, from whatever the run has left there.

    A run that failed half-way gets a page too: sections that cannot be filled say why.

    Returns:
        The page's path.

    Raises:
        NotFound: there is no such folder.
    """
    folder = read_run(run)
    disk.write_json(run / "report.json", numbers(folder))
    disk.write_text(run / "report.html", render_page(folder))
    return run / "report.html"


def numbers(run: RunFolder) -> Json:
    """Everything the page is made of: ``run.json`` at the top, each step's document below its name."""
    shown = verdict.verdict(run)
    report = dict(with_no_passwords(run.run))  # records of before kept them
    report["verdict"] = {"state": shown.state, "headline": shown.headline, "sentence": shown.sentence}
    report |= run.documents
    report["missing"] = run.missing
    return report


def render_page(run: RunFolder) -> str:
    """The page as text."""
    wanted = [section for section in SECTIONS if section[0] not in OPTIONAL or section[0] in run.asked]
    return frame.page(
        title=f"{run.name} {run.run.get('run') or ''}".strip() + " · shoploop",
        masthead=verdict.masthead(run),
        sections=frame.gathered([_section(run, id, title, make) for id, title, make in wanted]),
        footer="Written by shoploop. The numbers of this page lie beside it in report.json.",
    )


def _section(run: RunFolder, id: str, title: str, make: Callable[[RunFolder], frame.Section]) -> frame.Section:
    """A section, or in its place the reason why there is none: a report must not cost a run its result."""
    try:
        return make(run)
    except PartMissing as part:
        return frame.missing(id, title, str(part))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        why = (
            f"Its numbers are not in the form that this page knows ({type(error).__name__}: {error}). See report.json."
        )
        return frame.missing(id, title, why)
