"""``shoploop kubeflow``: what became of runs that were submitted to Kubeflow Pipelines."""

from pathlib import Path
from typing import Annotated

import typer

from shoploop.cli.options import File, StoreOption
from shoploop.cli.submit import Server

app = typer.Typer(help="Runs that were submitted to Kubeflow Pipelines.", no_args_is_help=True)

Endpoint = Annotated[
    str | None,
    typer.Option(help="Address of the API; else spec.runner.endpoint, else SHOPLOOP_KUBEFLOW.", metavar="URL"),
]
TokenFile = Annotated[
    Path | None, typer.Option(help="File with a bearer token; it is read again for every question.", metavar="FILE")
]
CaFile = Annotated[
    Path | None, typer.Option(help="Certificates in PEM of a private authority that is trusted.", metavar="FILE")
]
Namespace = Annotated[str | None, typer.Option("-n", "--namespace", help="Else spec.runner.namespace.")]
RunId = Annotated[str, typer.Argument(help="Id of the run, as submit printed it.", metavar="RUN")]
Recurring = Annotated[str, typer.Argument(help="Id of the recurring run.", metavar="ID")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the run to its end; Ctrl-C cancels it.")]


@app.command()
def status(
    file: File,
    run: RunId,
    wait: Wait = False,
    endpoint: Endpoint = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    store: StoreOption = None,
) -> None:
    """Say how far a run is."""
    from shoploop.cli.submit import follow_or_tell

    server = Server(endpoint=endpoint, token_file=token_file, ca_file=ca_file)
    follow_or_tell(file, server, run, wait=wait, store_override=store)


@app.command()
def cancel(
    file: File,
    run: RunId,
    endpoint: Endpoint = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    store: StoreOption = None,
) -> None:
    """End a run; what is done is kept."""
    from shoploop.cli.submit import cancel as cancel_

    cancel_(file, Server(endpoint=endpoint, token_file=token_file, ca_file=ca_file), run, store_override=store)


@app.command()
def resume(
    file: File,
    run: RunId,
    wait: Wait = False,
    endpoint: Endpoint = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    store: StoreOption = None,
) -> None:
    """Go on with a run that failed or was cancelled; steps that are done are not done again."""
    from shoploop.cli.submit import resume as resume_

    server = Server(endpoint=endpoint, token_file=token_file, ca_file=ca_file)
    resume_(file, server, run, wait=wait, store_override=store)


@app.command()
def recurring(
    file: File,
    endpoint: Endpoint = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    namespace: Namespace = None,
) -> None:
    """List the recurring runs of a recommender's experiment."""
    from shoploop.cli.submit import list_recurring

    list_recurring(file, Server(endpoint=endpoint, token_file=token_file, ca_file=ca_file, namespace=namespace))


def _change(file: Path, server: Server, recurring: str, verb: str, done: str) -> None:
    from shoploop.cli.submit import change_recurring

    change_recurring(file, server, recurring, verb)
    typer.echo(f"Recurring run {recurring} {done}.")


@app.command()
def pause(
    file: File, id: Recurring, endpoint: Endpoint = None, token_file: TokenFile = None, ca_file: CaFile = None
) -> None:
    """Let a recurring run begin no more runs for now."""
    _change(file, Server(endpoint=endpoint, token_file=token_file, ca_file=ca_file), id, "disable", "is paused")


@app.command()
def unpause(
    file: File, id: Recurring, endpoint: Endpoint = None, token_file: TokenFile = None, ca_file: CaFile = None
) -> None:
    """Let a recurring run begin runs again."""
    _change(file, Server(endpoint=endpoint, token_file=token_file, ca_file=ca_file), id, "enable", "goes on")


@app.command()
def stop(
    file: File, id: Recurring, endpoint: Endpoint = None, token_file: TokenFile = None, ca_file: CaFile = None
) -> None:
    """Delete a recurring run; runs that it began stay."""
    server = Server(endpoint=endpoint, token_file=token_file, ca_file=ca_file)
    _change(file, server, id, "delete_recurring", "is deleted")
