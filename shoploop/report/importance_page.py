"""The page of ``shoploop weigh``: the pieces of the report's section, each a section of its own, below the verdict."""

from pathlib import Path

from shoploop.report import frame, importance, words
from shoploop.report.run_folder import Json


def write(target: Path, name: str, document: Json) -> None:
    """Writes one self-contained page.

    Args:
        target: The page.
        name: Of the recommender.
        document: ``importance.json``.
    """
    found: Json = document.get("verdict") or {}
    used, rows = bool(found.get("used")), importance.rows_of(document)
    facts = frame.facts(importance.facts(document))
    sections = [
        frame.Section(id=f"part-{at}", title=title, lead=importance.LEAD if at == 0 else "", body=body)
        for at, (title, make) in enumerate(importance.PIECES)
        if (body := make(document))
    ]
    page = frame.page(
        title=f"{name} · weights · shoploop",
        masthead=frame.render(
            "command_masthead.html",
            command="shoploop weigh",
            name=name,
            tone="good" if used else "warn",
            sign="✓" if used else "!",
            state="Used in training" if used else "Not used in training",
            headline=f"What each of {words.count(rows)} training samples counts" if rows else importance.TITLE,
            sentence=str(found.get("reason") or "No reason was given."),
            facts=facts,
        ),
        sections=sections,
        footer="Written by shoploop weigh. The numbers of this page lie beside it in importance.json.",
    )
    target.write_text(page, encoding="utf-8")
