"""Commands that talk to a cluster, or to a server of Kubeflow Pipelines."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from shoploop.cli.kubeflow_commands import CaFile, Endpoint, TokenFile, Wait
from shoploop.cli.options import (
    Context,
    File,
    Name,
    Namespace,
    StoreOption,
)

PANEL = "Cluster"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def doctor(
    context: Context = None,
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a cluster, and print what is missing and the command that mends it."""
    from shoploop.cli import cluster

    raise typer.Exit(cluster.doctor(context=context, namespace=namespace, as_json=as_json))


@app.command(rich_help_panel=PANEL)
def status(name: Name, context: Context = None, namespace: Namespace = None) -> None:
    """Say how far a Recommender on the cluster is, and what happened to it."""
    from shoploop.cli import cluster

    raise typer.Exit(cluster.status(name, context=context, namespace=namespace))


@app.command(rich_help_panel=PANEL)
def logs(
    name: Name,
    part: Annotated[
        Literal["predictor", "learner", "run", "operator"],
        typer.Option(help="Whose log: run is the steps of its training runs."),
    ] = "predictor",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Show the log of a Recommender's predictor, of its training runs, or of the operator."""
    from shoploop.cli import cluster

    raise typer.Exit(cluster.logs(name, part=part, follow=follow, context=context, namespace=namespace))


@app.command(rich_help_panel=PANEL)
def submit(
    file: File,
    endpoint: Endpoint = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be handed over, and ask nobody.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the compiled pipeline.", metavar="FILE.yaml")] = None,
    preset: Annotated[str, typer.Option(help="small: a run that only shows that all fits together.")] = "full",
    recurring: Annotated[bool, typer.Option("--recurring", help="Begin runs when spec.schedule says.")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Let a version that passes the gate serve.")] = False,
    wait: Wait = False,
    image: Annotated[str | None, typer.Option(help="Image of the steps; else spec.runner.image.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Else spec.runner.experiment, else the name.")] = None,
    namespace: Annotated[str | None, typer.Option("-n", "--namespace", help="Else spec.runner.namespace.")] = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    store: StoreOption = None,
) -> None:
    """Hand a run over to a server of Kubeflow Pipelines."""
    from shoploop.cli import submit as submit_

    server = submit_.Server(
        endpoint=endpoint,
        token_file=token_file,
        ca_file=ca_file,
        namespace=namespace,
        experiment=experiment,
        image=image,
    )
    submit_.submit(
        file,
        server,
        dry_run=dry_run,
        out=out,
        preset=preset,
        recurring=recurring,
        promote=promote,
        wait=wait,
        store_override=store,
    )


@app.command("open", rich_help_panel=PANEL)
def open_(
    name: Name,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Make a Recommender's service on the cluster reachable on this machine, until Ctrl-C."""
    from shoploop.cli import cluster

    raise typer.Exit(cluster.open_recommender(name, port=port, context=context, namespace=namespace))
