"""``shoploop`` as it is, as a program that :mod:`forked` can fork off."""

import sys

from shoploop.cli import main as cli


def ready() -> None:
    """Imports what most commands need."""
    import shoploop.cli.run
    import shoploop.data
    import shoploop.packaging.local_service
    import shoploop.runs
    import shoploop.versions.promotions  # noqa: F401


def main(arguments: list[str]) -> None:
    sys.argv[1:] = arguments
    cli.main()
