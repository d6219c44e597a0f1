"""The command line, within this process."""

from typer.testing import CliRunner

from shoploop.cli.main import app


def shoploop(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done
