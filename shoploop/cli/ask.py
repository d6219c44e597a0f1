"""``shoploop try``: one user's recommendations from the real service, printed for a person."""

import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.request import Request

from rich.console import Console
from rich.table import Table

from shoploop.hints import command
from shoploop.store import Store

RECENT = 8


def try_recommender(store: Store, name: str, *, user: str | None, k: int) -> None:
    """Starts the service of the promoted version, asks it once, and prints what the user bought lately beside it.

    Raises:
        NotFound: no such recommender, nothing is promoted, or it was run on another machine.
    """
    from shoploop.packaging.local_service import free_port, running, serving_version
    from shoploop.runs import folder_of

    console = Console(highlight=False)
    version = serving_version(store, name)
    folder = folder_of(store, name, version)
    user = user or _somebody(folder)
    recent = _bought_lately(folder, user)
    with (
        tempfile.TemporaryFile() as log,
        console.status(f"starting the service of {name} {version}"),
        running(store, name, port=free_port(), version=version, log=log) as service,
    ):
        answer = _ask(f"{service.url}/recommend", {"user": user, "k": k})
    _print(console, name, user, recent, answer)
    console.print(f"\nReport    {folder / 'report.html'}", soft_wrap=True)
    console.print("Serve     " + command(store, f"serve {name}"), soft_wrap=True)
    body = json.dumps({"user": user, "k": 5})
    console.print(
        f"Ask       curl -s localhost:3000/recommend -H 'content-type: application/json' -d '{body}'", soft_wrap=True
    )


def _somebody(folder: Path) -> str:
    """A user with an ordinary history: the median of those with ten days of purchases, by how much they bought."""
    import polars as pl

    users = (
        pl.scan_parquet(folder / "data" / "interactions.parquet")
        .group_by("user")
        .agg(pl.len().alias("rows"), pl.col("time").dt.date().n_unique().alias("days"))
        .filter(pl.col("days") >= 10)
        .sort("rows", "user")
        .collect()
    )
    if users.is_empty():
        return str(
            pl.scan_parquet(folder / "data" / "interactions.parquet").select(pl.col("user").min()).collect().item()
        )
    return str(users["user"][len(users) // 2])


def _bought_lately(folder: Path, user: str) -> list[tuple[str, str]]:
    """(day, title) of the last purchases, newest first."""
    import polars as pl

    items = pl.scan_parquet(folder / "data" / "items.parquet").select("item", "title")
    rows = (
        pl.scan_parquet(folder / "data" / "interactions.parquet")
        .filter(pl.col("user") == user)
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


def _print(console: Console, name: str, user: str, recent: list[tuple[str, str]], answer: dict[str, Any]) -> None:
    if recent:
        bought = Table("day", "bought", title=f"What {user} bought lately", title_justify="left", box=None)
        for day, title in recent:
            bought.add_row(day, title)
        console.print(bought)
        console.print()
    table = Table("", "recommended", "score", "why", title=f"What {name} recommends", title_justify="left", box=None)
    for place, item in enumerate(answer["items"], start=1):
        title = item.get("fields", {}).get("title") or item["item"]
        table.add_row(str(place), title, f"{item['score']:.2f}", item.get("reason") or "")
    console.print(table)
