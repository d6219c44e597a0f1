"""The page and its reusable pieces: sections, tables, facts. Every page of shoploop is made of these.

Whatever comes from data is untrusted (a product's title may be ``<script>``): the templates escape it, and the page
forbids scripts and every address outside itself by its own policy. Only ``Markup`` goes through as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shoploop.report import words


@dataclass(frozen=True, kw_only=True)
class Section:
    """One heading of a page with what stands below it."""

    id: str
    """Anchor; a link in the page's contents leads here."""

    title: str
    body: Markup
    lead: str = ""
    """One or two sentences that say what to see."""

    absent: str = ""
    """Why there is nothing to show; such sections are gathered at a page's end."""


@dataclass(frozen=True, kw_only=True)
class Column:
    title: str
    numeric: bool = False
    hint: str = ""
    """Unit or direction, in small print below the title."""


@dataclass(frozen=True, kw_only=True)
class Row:
    cells: Sequence[object]
    """One a column: text, a formatted number, or Markup. The first names the row."""

    emphasis: bool = False


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number with its name, as in a row of key figures."""

    title: str
    value: str
    note: str = ""


@cache
def environment() -> Environment:
    env = Environment(
        loader=PackageLoader("shoploop.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(w=words)
    return env


def render(template: str, **context: Any) -> Markup:
    """A template of ``shoploop/report/templates`` with everything in the context escaped, save Markup."""
    return Markup(environment().get_template(template).render(**context))


def table(caption: str, columns: Sequence[Column], rows: Sequence[Row], *, show_caption: bool = False) -> Markup:
    """A table that scrolls within itself where the screen is narrow. The caption is for screen readers unless shown."""
    return render("table.html", caption=caption, columns=columns, rows=rows, show_caption=show_caption)


def facts(items: Sequence[Fact]) -> Markup:
    """Key figures side by side."""
    return render("facts.html", facts=items)


def fold(title: str, body: Markup) -> Markup:
    """Detail that most readers skip, behind its title."""
    return render("fold.html", title=title, body=body)


def note(text: str, kind: str = "plain") -> Markup:
    """A remark of its own paragraph. kind: plain | good | warn | bad."""
    return render("note.html", text=text, kind=kind)


def join(*parts: Markup) -> Markup:
    return Markup("\n").join(parts)


def missing(id: str, title: str, why: str) -> Section:
    """A section that cannot be filled, and the reason."""
    return Section(id=id, title=title, body=Markup(""), absent=why)


def gathered(sections: Sequence[Section]) -> list[Section]:
    """The sections that have something to show, and where some have not, a last one that says why."""
    there, absent = [s for s in sections if not s.absent], [s for s in sections if s.absent]
    if not absent:
        return there
    columns = [Column(title="Section"), Column(title="Why it is not here")]
    rows = [Row(cells=[section.title, section.absent]) for section in absent]
    body = table("Sections that this run does not have", columns, rows)
    return [*there, Section(id="absent", title="Not in this run", body=body)]


def page(*, title: str, masthead: Markup, sections: Sequence[Section], footer: str = "") -> str:
    """One self-contained HTML document: no script, no font, no address outside itself."""
    return str(render("page.html", title=title, masthead=masthead, sections=sections, footer=footer)) + "\n"
