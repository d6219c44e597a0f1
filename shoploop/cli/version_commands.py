"""Commands that decide which version serves, and what is kept."""

from typing import Annotated

import typer

from shoploop.cli.options import (
    Name,
    StoreOption,
    json_target,
    person,
    readable_store,
    writable_store,
)

PANEL = "Versions"
app = typer.Typer()
FOLLOWS = "A running `shoploop serve` follows within two seconds; predictors elsewhere are for whoever runs them."


@app.command(rich_help_panel=PANEL)
def gc(
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    runs: Annotated[int | None, typer.Option(min=1, max=1000, help="Runs to keep; spec.retention.runs.")] = None,
    versions: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Versions to keep; spec.retention.versions.")
    ] = None,
    json_: Annotated[
        str | None, typer.Option("--json", help="Write what went as JSON; - for stdout.", callback=json_target)
    ] = None,
    store: StoreOption = None,
) -> None:
    """Remove runs, outputs and versions beyond spec.retention; nothing that is in use."""
    from shoploop.cli import gc as gc_

    gc_.collect(
        readable_store(store) if dry_run else writable_store(store),
        name,
        dry_run=dry_run,
        runs=runs,
        versions=versions,
        target=json_,
    )


@app.command(rich_help_panel=PANEL)
def versions(name: Name, store: StoreOption = None) -> None:
    """List the versions of a recommender and which of them serves."""
    from shoploop.cli import tables

    tables.print_versions(readable_store(store), name)


@app.command(rich_help_panel=PANEL)
def promote(
    name: Name,
    version: Annotated[str, typer.Argument(help="Version that is to serve.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the promotions log.")] = "promoted by hand",
    store: StoreOption = None,
) -> None:
    """Let a version serve, whatever the gate said."""
    from shoploop.versions import promotions

    promotions.promote(writable_store(store), name, version, reason=reason, by=person())
    typer.echo(f"{version} serves {name} from now on. {FOLLOWS}")


@app.command(rich_help_panel=PANEL)
def rollback(name: Name, store: StoreOption = None) -> None:
    """Let the version serve that served before."""
    from shoploop.versions import promotions

    entry = promotions.rollback(writable_store(store), name, by=person())
    typer.echo(f"{entry.version} serves {name} from now on. {FOLLOWS}")


@app.command(rich_help_panel=PANEL)
def candidate(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="That meets its first shoppers; else say who does.")] = None,
    percent: Annotated[int, typer.Option(min=0, max=99, help="Share of users that it answers.")] = 0,
    step: Annotated[
        list[str] | None,
        typer.Option(help="10:60 is 10 percent for 60 minutes; again for the next. Then it is promoted."),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Let it score, and show what differs as metrics only.")
    ] = False,
    end: Annotated[bool, typer.Option("--end", help="Let the version that serves answer everybody again.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the log.")] = "by hand",
    store: StoreOption = None,
) -> None:
    """Let a version answer some users beside the one that serves; errors or slowness end that by themselves."""
    from shoploop.cli import candidate as candidate_

    opened = readable_store(store) if version is None and not end else writable_store(store)
    candidate_.candidate(
        opened, name, version, percent=percent, steps=step or [], shadow=shadow, end=end, reason=reason, by=person()
    )
