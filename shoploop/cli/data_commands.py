"""Commands about data before anything runs."""

from pathlib import Path
from typing import Annotated

import typer

from shoploop.cli.options import (
    File,
    JsonOption,
    StoreOption,
)

PANEL = "Data"
app = typer.Typer()
data_app = typer.Typer(help="Your own files, on their way to a cluster.", no_args_is_help=True)


@app.command(rich_help_panel=PANEL)
def describe(file: File, json_: JsonOption = None) -> None:
    """Say what is in your data, whether it is enough, and what a run will take; nothing runs and nothing is written."""
    from shoploop.cli.describe import describe_recommender

    describe_recommender(file, json_)


@app.command(rich_help_panel=PANEL)
def datasets(json_: JsonOption = None) -> None:
    """List the datasets that are known by name, and whether they are installed here."""
    from shoploop.cli.datasets import list_datasets

    list_datasets(json_)


@app.command(rich_help_panel=PANEL)
def init(
    events: Annotated[str, typer.Argument(help="Your log: a file, a folder, a pattern or a URL.", metavar="EVENTS")],
    items: Annotated[str | None, typer.Option(help="The table of items, if there is one.", metavar="ITEMS")] = None,
    searches: Annotated[
        str | None, typer.Option(help="What was typed and what was taken then, if that is known.", metavar="SEARCHES")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The YAML to write.", metavar="FILE")] = Path(
        "recommender.yaml"
    ),
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="user=customer_id and the like, where you know it; may be given again.", metavar="NAME=COLUMN"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take every proposal without asking.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the YAML if it is there.")] = False,
) -> None:
    """Look at a log's columns, ask where they leave a doubt, and write a recommender.yaml for it."""
    from shoploop.cli.init import init_recommender

    init_recommender(events, items=items, searches=searches, out=out, columns=column or [], yes=yes, force=force)


@data_app.command("push")
def data_push(file: File, store: StoreOption = None) -> None:
    """Copy the files of a recommender.yaml into the store, and print the YAML that reads them there."""
    from shoploop.cli.push import push_data

    push_data(file, store)
