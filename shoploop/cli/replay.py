"""``shoploop replay``: later days of a recommender's own data through the whole loop, and the page about them."""

import webbrowser
from pathlib import Path

from shoploop.cli import output
from shoploop.cli.bench import measure
from shoploop.store import Store


def replay(
    store: Store,
    name: str,
    *,
    speed: float,
    purchases: int,
    period_seconds: float,
    nightly: bool,
    renewed: bool,
    seed: int,
    out: Path | None,
    show: bool,
    json_: str | None,
) -> None:
    """Replays, writes the page, and prints what came of it.

    Raises:
        NotFound: nothing serves, or the run that made the version is gone.
        TooFewEvents: before one of the days there was too little to train a version on.
    """
    from shoploop.bench.replay import run
    from shoploop.report import replay_page

    document = measure(
        lambda say: run(
            store,
            name,
            speed=speed,
            purchases=purchases,
            period_seconds=period_seconds,
            nightly=nightly,
            renewed=renewed,
            seed=seed,
            say=say,
        ),
        json_,
        quiet=json_ is None,
    )
    page = out or Path(f"{name}-replay.html")
    page.parent.mkdir(parents=True, exist_ok=True)
    replay_page.write(page, document)
    console = output.console(stderr=json_ == "-")
    recall, (low, high) = document["recall@10"], document["recall@10"]["interval"]
    console.print(
        f"Recall@10 {recall['online']:.4f} online, {recall['frozen']:.4f} frozen: {recall['difference']:+.4f} "
        f"[{low:+.4f}, {high:+.4f}], {document['visits']:,} visits"
    )
    for kind in ("renewed", "nightly"):
        if (nights := document[kind]) is not None:
            recall, (low, high) = nights["recall@10"], nights["recall@10"]["interval"]
            console.print(
                f"{kind.title():9} {recall['frozen']:.4f}, {recall['online']:.4f} with what was learned since the morning: "
                f"{recall['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
            )
            for metric, gained in nights["gained"].items():
                low, high = gained["interval"]
                console.print(
                    f"          {metric} {gained['difference']:+.4f} [{low:+.4f}, {high:+.4f}] over the frozen version"
                )
    lag = document["lag_seconds"]
    if lag["p50"] is not None:
        console.print(f"Lag       {lag['p50']:.2f} s, p99 {lag['p99']:.2f} s, in {document['commits']:,} commits")
    for trip in document["trips"]:
        console.print(f"Stopped   commit {trip['commit']}: {trip['reason']}")
    console.print(f"Page      {page}")
    if show:
        webbrowser.open(page.absolute().as_uri())
