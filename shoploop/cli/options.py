"""Options that many commands take, and what they stand for."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

File = Annotated[Path, typer.Option("-f", "--file", help="The recommender.yaml.", metavar="FILE")]
LogOption = Annotated[
    str, typer.Option("--log", help="Where events go: sqlite, redis://host:port/0 or kafka://host:port.")
]
LogOfOption = Annotated[
    str | None,
    typer.Option(
        "--log",
        help="The event log: sqlite, redis://host:port/0, kafka://host:port, or spec: where spec.online.log of the last run "
        "says; else that, or sqlite where it names none.",
    ),
]
LogAccessOption = Annotated[
    Path | None,
    typer.Option(
        help="What the log's server asks for, a file each, as its Secrets have it: username, password, ca.crt.",
        metavar="FOLDER",
        exists=True,
        file_okay=False,
    ),
]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="Folder or URL of the store; else SHOPLOOP_STORE, else the spec's.")
]
Name = Annotated[str, typer.Argument(help="Name of the recommender.", metavar="NAME")]


def json_target(target: str | None) -> str | None:
    """Where JSON is to go, once it is known that it can: the numbers of hours are written at the end.

    Raises:
        typer.BadParameter: there is no such folder, it is one, or it must not be written.
    """
    if target is None or target == "-":
        return target
    path = Path(target)
    if path.is_dir():
        raise typer.BadParameter(f"{target!r} is a folder; name a file in it.")
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"The folder of {target!r} does not exist. Make it, or name another file.")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise typer.BadParameter(f"{target!r} must not be written. Name another file.")
    return target


JsonOption = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the numbers as JSON; - is stdout, and only JSON.",
        callback=json_target,
    ),
]
Seed = Annotated[int, typer.Option(help="Of every random draw.")]
Context = Annotated[str | None, typer.Option(help="Of your kubeconfig; else its current one.")]
Namespace = Annotated[str | None, typer.Option("-n", "--namespace", help="Where the Recommender lies; else any.")]


def writable_store(override: str | None) -> Any:
    """The store of a command that writes."""
    from shoploop.hints import default_store
    from shoploop.store import Store

    return Store(override or default_store())


def readable_store(override: str | None) -> Any:
    """The store of a command that changes nothing: it need not be writable."""
    from shoploop.hints import default_store
    from shoploop.store import Store

    return Store(override or default_store(), read_only=True)


def person() -> str:
    """Who decides, for logs of decisions."""
    return os.environ.get("USER") or "a person"


def whole_number(text: str) -> int:
    """A number as people write it: 10000000, 10_000_000 or 1e7.

    Raises:
        typer.BadParameter: it is no whole number.
    """
    from decimal import Decimal, InvalidOperation

    try:
        number = Decimal(str(text))
        if number == number.to_integral_value() and abs(number) < 10**18:
            return int(number)
    except (InvalidOperation, ValueError):
        pass
    raise typer.BadParameter(f"{text!r} is no whole number; write 10000000, 10_000_000 or 1e7.")
