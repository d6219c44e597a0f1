"""``shoploop init``: from a log that somebody has to a recommender.yaml, with a question only where there is a doubt."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shoploop.cli.init.manifest import recommender_yaml
from shoploop.cli.init.naming import name_for
from shoploop.cli.init.questions import ROLES, Ask, ask_meanings, ask_time_format, settle_columns
from shoploop.cli.init.summary import say
from shoploop.data import databases
from shoploop.data.guessing import guess_events, guess_items, guess_searches
from shoploop.data.meanings import read_ends, read_meanings
from shoploop.data.proposals import DESCRIBING
from shoploop.errors import AlreadyThere, SpecInvalid, without_passwords
from shoploop.store import disk

__all__ = ["init_recommender"]


def init_recommender(
    events: str,
    *,
    items: str | None,
    out: Path,
    columns: Sequence[str],
    yes: bool,
    force: bool,
    searches: str | None = None,
    ask: Ask | None = None,
) -> None:
    """Looks, asks, writes and says what it took.

    Args:
        events: The log's uri, as a person typed it.
        items: The table of items.
        out: The YAML to write.
        columns: ``name=column`` pairs; those of the tables of items and of searches begin with ``items.`` and ``searches.``.
        yes: Ask nothing.
        force: Overwrite.
        searches: The table of searches.
        ask: Whom to ask; None asks on the terminal, where there is one.

    Raises:
        AlreadyThere: ``out`` exists.
        SpecInvalid: there is no folder for ``out``, ``columns`` name what cannot be, or a table is in a database.
        SchemaMismatch: no column can be what is needed.
        DataUnreadable, TableEmpty: the files cannot be read.
    """
    if out.is_dir():
        raise SpecInvalid(f"{out} is a folder. Name a file in it with -o.")
    if out.exists() and not force:
        raise AlreadyThere(f"{out} is there already and is left as it is. Name another with -o, or give --force.")
    if not out.parent.is_dir():
        raise SpecInvalid(f"There is no folder {out.parent}. Name another file with -o.")
    _refuse_databases(interactions=events, items=items, searches=searches)
    given = _given(columns, has_items=items is not None)
    asking = None if yes else ask or (_prompt if sys.stdin.isatty() and sys.stdout.isatty() else None)
    log = guess_events(_place(events), given["interactions"], items_uri=_place(items) if items is not None else None)
    proposed = dict(log.found)
    settle_columns(log, "interactions", events, asking)
    if log.found != proposed:
        read_meanings(log)
    ask_meanings(log, asking)
    listed = None
    if items is not None:
        listed = guess_items(_place(items), log, given["items"])
        settle_columns(listed, "items", items, asking)
        read_ends(listed)
        ask_time_format(listed, "ends", asking)
    searched = None
    if searches is not None:
        searched = guess_searches(_place(searches), log, given["searches"])
        settle_columns(searched, "searches", searches, asking)
    text = recommender_yaml(
        log,
        listed,
        searched,
        events=_relative(events, out),
        items_uri=_relative(items, out),
        searches_uri=_relative(searches, out),
        name=name_for(events, _place(events), out),
    )
    _check(text, out)
    disk.write_text(out, text)
    say(log, listed, searched, out, silent=asking is None and not yes)


def _place(uri: str) -> str:
    from shoploop.data import sources

    return sources.absolute(uri, Path.cwd())


def _refuse_databases(**uris: str | None) -> None:
    for table, uri in uris.items():
        if uri is not None and databases.scheme_of(uri):
            raise SpecInvalid(
                f"{without_passwords(uri)} is a database, and init looks at files. Write spec.data.tables.{table} by hand: "
                "its uri, and table: or query: for what to read there."
            )


def _given(columns: Sequence[str], *, has_items: bool) -> dict[str, dict[str, str]]:
    given: dict[str, dict[str, str]] = {table: {} for table in ROLES}
    for pair in columns:
        role, _, column = pair.partition("=")
        table = next((name for name in ("items", "searches") if role.startswith(f"{name}.")), "interactions")
        role = role.removeprefix(f"{table}.")
        known = ROLES[table]
        if role not in known or not column:
            raise SpecInvalid(f"--column {pair!r}: write NAME=COLUMN with a NAME of {', '.join(known)}.")
        if has_items and table == "interactions" and role in DESCRIBING:
            raise SpecInvalid(
                f"--column {pair!r}: with --items, the table of items alone says the {role} of an item. Write "
                f"items.{role}=COLUMN with a column of it, or leave --items out."
            )
        given[table][role] = column
    return given


def _relative(uri: str | None, out: Path) -> str:
    """As it stands in the YAML: counted from its folder where it lies below."""
    if uri is None:
        return ""
    if "://" in uri and not Path(uri).exists():
        return uri
    path = os.path.relpath(Path(uri).absolute(), out.absolute().parent)
    return str(Path(uri).absolute()) if path.startswith("..") else path


def _check(text: str, out: Path) -> None:
    """A run takes it, or nothing is written."""
    from shoploop.api import parse
    from shoploop.data import resolve_uris
    from shoploop.data.inputs import check_columns

    spec = parse(text, source=str(out)).spec
    check_columns(resolve_uris(spec.data, out.absolute().parent))


def _prompt(question: str, default: str) -> str:
    import typer

    return str(typer.prompt(question, default=default or None))
