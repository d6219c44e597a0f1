"""``shoploop try``: one user's recommendations from the real service, printed for a person."""

import json
import shlex
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

from rich.console import Console
from rich.table import Table

from shoploop.cli import output
from shoploop.data.kinds import PURCHASE
from shoploop.hints import command
from shoploop.store import Store

RECENT = 8

NEWCOMER = "somebody-new"
"""A user of whom nothing is known."""


def try_recommender(store: Store, name: str, *, user: str | None, k: int) -> None:
    """Starts the service of the promoted version, asks it once, and prints what the user bought lately beside it.

    Where no run on this machine has its tables any more, it asks all the same: for the user who is named, else for a new one.

    Raises:
        NotFound: no such recommender, or nothing is promoted.
    """
    from shoploop.packaging.local_service import free_port, running
    from shoploop.packaging.local_setup import serving_version
    from shoploop.runs import folder_of

    console = output.console()
    version = serving_version(store, name)
    folder = folder_of(store, name, version)
    user = user or (_somebody(folder) if folder else NEWCOMER)
    recent = _bought_lately(folder, user) if folder else []
    with (
        tempfile.TemporaryFile() as log,
        console.status(f"starting the service of {name} {version}", spinner=output.spinner(console)),
        running(store, name, port=free_port(), version=version, log=log) as service,
    ):
        answer = _ask(f"{service.url}/recommend", {"user": user, "k": k})
        shop = _next_shop(service.url, user)
    _print(console, name, user, recent, answer)
    console.print()
    if shop is not None:
        console.print(f"Next shop {output.one_line(shop['title'] or shop['shop'])}: {output.one_line(shop['reason'])}")
    if folder is None:
        console.print(
            "Bought    no run of it has its tables on this machine, so nobody knows here what was bought lately"
        )
    else:
        console.print(f"Report    {folder / 'report.html'}")
    console.print("Serve     " + command(store, f"serve {name}"))
    body = json.dumps({"user": user, "k": 5})
    ask = f"curl -s localhost:3000/recommend -H 'content-type: application/json' -d {shlex.quote(body)}"
    console.print(f"Ask       {ask}")


def _somebody(folder: Path) -> str:
    """A user with an ordinary history: the median of those with ten days of purchases, by how much they bought.

    Where nobody has ten, of those with at least half as many days as who has most.
    """
    import polars as pl

    days = pl.col("days")
    users = (
        pl.scan_parquet(folder / "data" / "interactions.parquet")
        .filter(pl.col("kind") == PURCHASE)
        .group_by("user")
        .agg(pl.len().alias("rows"), pl.col("time").dt.date().n_unique().alias("days"))
        .filter(days >= pl.min_horizontal(10, days.max() / 2))
        .sort("rows", "user")
        .collect()
    )
    return NEWCOMER if users.is_empty() else str(users["user"][len(users) // 2])


def _bought_lately(folder: Path, user: str) -> list[tuple[str, str]]:
    """(day, title) of the last purchases, newest first."""
    import polars as pl

    items = pl.scan_parquet(folder / "data" / "items.parquet").select("item", "title")
    rows = (
        pl.scan_parquet(folder / "data" / "interactions.parquet")
        .filter((pl.col("user") == user) & (pl.col("kind") == PURCHASE))
        .sort("time", descending=True)
        .unique("item", keep="first", maintain_order=True)
        .head(RECENT)
        .join(items, on="item", how="left", maintain_order="left")
        .select(pl.col("time").dt.date().cast(pl.String), pl.coalesce("title", "item"))
        .collect()
    )
    return [(str(day), str(title)) for day, title in rows.rows()]


def _ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    from shoploop.packaging.local_service import open_local

    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with open_local(request, seconds=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def _next_shop(url: str, user: str) -> dict[str, Any] | None:
    """Where the user is likely to go next; None where no purchase names its shop."""
    try:
        shops: list[dict[str, Any]] = _ask(f"{url}/shops", {"user": user, "k": 1})["shops"]
    except HTTPError as error:
        with error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
        return None
    return shops[0]


def _print(console: Console, name: str, user: str, recent: list[tuple[str, str]], answer: dict[str, Any]) -> None:
    if recent:
        console.print(f"What {output.one_line(user)} bought lately", style="italic")
        bought = Table("day", "bought", box=None)
        for day, title in recent:
            bought.add_row(day, output.one_line(title))
        output.print_table(console, bought)
        console.print()
    console.print(f"What {name} recommends", style="italic")
    table = Table("", "recommended", "score", "why", box=None)
    for place, item in enumerate(answer["items"], start=1):
        title = item.get("fields", {}).get("title") or item["item"]
        why = output.one_line(item.get("reason") or "")
        table.add_row(str(place), output.one_line(title), f"{item['score']:.2f}", why)
    output.print_table(console, table)
