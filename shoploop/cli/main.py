"""``shoploop``: one command a job, grouped by who needs it."""

import os
import sys
from typing import Annotated

import typer

from shoploop import exits as errors
from shoploop.cli import cluster_commands, data_commands, look_commands, run_commands, version_commands
from shoploop.cli.bench_commands import app as bench_app
from shoploop.cli.event_commands import app as events_app
from shoploop.cli.keys import app as keys_app
from shoploop.cli.kubeflow_commands import app as kubeflow_app
from shoploop.cli.online_commands import app as online_app

app = typer.Typer(
    name="shoploop",
    help="The learning loop of a shop: from raw events to a served recommender that keeps learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (run_commands, version_commands, look_commands, data_commands, cluster_commands):
    app.add_typer(commands.app)
app.add_typer(events_app, name="events", rich_help_panel=run_commands.PANEL)
app.add_typer(online_app, name="online", rich_help_panel=run_commands.PANEL)
app.add_typer(keys_app, name="keys", rich_help_panel=version_commands.PANEL)
app.add_typer(data_commands.data_app, name="data", rich_help_panel=data_commands.PANEL)
app.add_typer(kubeflow_app, name="kubeflow", rich_help_panel=cluster_commands.PANEL)
app.add_typer(bench_app, name="bench", rich_help_panel="Measure")


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Print without colours, as NO_COLOR in the environment does.")
    ] = False,
) -> None:
    errors.DEBUG = debug
    if no_color:
        os.environ["NO_COLOR"] = "1"


def main() -> None:
    """Entry point; named errors become one line and their exit code."""
    from shoploop.cli.encoding import adapt_streams

    adapt_streams()
    if "--no-color" in sys.argv:  # also behind a command's name, and before the help is printed
        sys.argv[1:] = ["--no-color", *(word for word in sys.argv[1:] if word != "--no-color")]
        os.environ["NO_COLOR"] = "1"
    sys.exit(errors.guarded(app))


if __name__ == "__main__":
    main()
