"""Commands that run the loop, or a part of it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from shoploop.cli.options import (
    File,
    JsonOption,
    LogAccessOption,
    LogOption,
    Name,
    Seed,
    StoreOption,
    json_target,
    readable_store,
    whole_number,
    writable_store,
)

PANEL = "Run"
CLUSTER = "Cluster"  # of options that only a cluster reads
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def run(file: File, store: StoreOption = None) -> None:
    """Run the loop once: raw tables to a packaged version. Steps that are done already are reused."""
    from shoploop.cli.run import run_recommender

    run_recommender(file, store)


@app.command(rich_help_panel=PANEL)
def renew(file: File, json_: JsonOption = None, store: StoreOption = None) -> None:
    """Bring the version that serves up to date with the data, without training: its weights, and all that is known by now."""
    from shoploop.cli.renew import renew_recommender

    renew_recommender(file, store, json_=json_)


@app.command("try", rich_help_panel=PANEL)
def try_(
    name: Name,
    user: Annotated[str | None, typer.Option(help="Whom to recommend for; else somebody with a history.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many items.")] = 8,
    store: StoreOption = None,
) -> None:
    """Start the service, ask it for one user's recommendations, and print them for a person."""
    from shoploop.cli.ask import try_recommender

    try_recommender(readable_store(store), name, user=user, k=k)


@app.command("profile", rich_help_panel=PANEL)
def profile_(
    name: Name,
    user: Annotated[str, typer.Option(help="Whose profile.")],
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """What the serving version knows of one user: what they buy, how often, what is due, which kinds, where."""
    from shoploop.cli.profile import show_profile

    show_profile(readable_store(store), name, user=user, json_=json_)


@app.command(rich_help_panel=PANEL)
def serve(
    name: Name,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    version: Annotated[str | None, typer.Option(help="A version other than the one that is promoted.")] = None,
    log: LogOption = "sqlite",
    log_access: LogAccessOption = None,
    out_of_stock: Annotated[
        Path | None,
        typer.Option(
            help="Items that cannot be bought now, an id a line; read again when it changes.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ] = None,
    online: Annotated[
        bool | None,
        typer.Option(
            "--online/--no-online",
            help="Learn from what shoppers do, and serve what was learned; else as spec.online.enabled of the last run says.",
        ),
    ] = None,
    access: Annotated[
        Path | None,
        typer.Option(
            help="Ask who asks: NAME.key holds an API key; tokens.json (issuer, audience) and jwks.json say which tokens are "
            "believed. Made with a key where it is not there. Else everybody may ask.",
            metavar="FOLDER",
            file_okay=False,
        ),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Where /metrics, /docs.json and /load are answered, and nowhere else; as --port: where shoppers ask. Else "
            "the first free one after --port.",
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Serve the promoted version over HTTP, until Ctrl-C."""
    from shoploop.cli.logs import asked_log, last_spec
    from shoploop.packaging.local_service import serve as serve_

    if online is None:
        spec = last_spec(readable_store(store), name)
        online = spec is not None and spec.online.enabled
    if online:
        from shoploop.online.process import check_signer

        check_signer()
    opened = writable_store(store) if online else readable_store(store)
    raise typer.Exit(
        serve_(
            opened,
            name,
            port=port,
            version=version,
            log=asked_log(opened, name, log, log_access),
            log_access=log_access,
            out_of_stock=out_of_stock,
            online=online,
            access=access,
            admin_port=admin_port,
        )
    )


@app.command(rich_help_panel=PANEL)
def replay(
    name: Name,
    speed: Annotated[float, typer.Option(min=1, max=1e9, help="So many times faster than it was.")] = 1000,
    purchases: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")] = 5_000,
    period: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two commits at least.", metavar="SECONDS")
    ] = 1.0,
    nightly: Annotated[
        bool,
        typer.Option("--nightly", help="Train a version for each of the days, too: minutes each, on a grocer's year."),
    ] = False,
    renewed: Annotated[
        bool,
        typer.Option("--renewed", help="Renew the first day's version for each of the days, too: seconds each."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where the page is written; else NAME-replay.html here.", metavar="FILE.html")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    seed: Seed = 0,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Learn online from the last days of the data as if they came now, beside the version as it was trained."""
    from shoploop.cli.replay import replay as replay_

    replay_(
        readable_store(store), name, speed=speed, purchases=purchases, period_seconds=period, nightly=nightly,
        renewed=renewed, seed=seed,
        out=out, show=open_, json_=json_,
    )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def augment(
    file: File,
    out: Annotated[
        Path | None, typer.Option(help="Where the page is written; else into the store.", metavar="FILE.html")
    ] = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Find out whether virtual behaviour pays, and write a page with real and virtual shoppers side by side."""
    from shoploop.cli.augment import augment_recommender

    augment_recommender(file, store, out, json_)


@app.command(rich_help_panel=PANEL)
def synthesize(
    file: File,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.", metavar="FILE.parquet")],
    rows: Annotated[
        int, typer.Option(help="How many rows, at least; 1e7 is ten million.", parser=whole_number, metavar="INTEGER")
    ] = 100_000,
    condition: Annotated[
        list[str] | None, typer.Option(help="Only shoppers of this segment and sparsity; may be given again.")
    ] = None,
    json_: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="FILE", help="Write the sheet as JSON; - is stdout, and only JSON.", callback=json_target
        ),
    ] = None,
) -> None:
    """Write a synthetic data set, with its sheet beside it: how like the real it is, and which attacks failed."""
    from shoploop.cli.augment import synthesize_events

    synthesize_events(file, rows, out, condition, json_)


@app.command(rich_help_panel=PANEL)
def weigh(
    file: File,
    estimator: Annotated[
        str | None,
        typer.Option(help="Other than the spec's: `shoploop explain recommender.spec.importance` lists them."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the page; else below the store.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Weigh the training samples, check the weights, and write a page about them. Nothing is trained."""
    from shoploop.cli.weigh import weigh_samples

    weigh_samples(file, store, estimator=estimator, show=open_, out=out, json_=json_)


@app.command(rich_help_panel=PANEL)
def tune(
    file: File,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="In all, with those that an earlier tune did.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same trials.")] = 0,
    timeout: Annotated[
        float | None,
        typer.Option(min=1, help="Begin no trial after so many seconds, and drop the one at work.", metavar="SECONDS"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the YAML with the proposal here.", metavar="FILE.yaml")
    ] = None,
    json_: JsonOption = None,
    store: StoreOption = None,
    on: Annotated[
        Literal["machine", "cluster"],
        typer.Option(help="Where trials are carried out. On a cluster the store and the data are the spec's."),
    ] = "machine",
    by: Annotated[
        Literal["auto", "katib", "jobs"],
        typer.Option(
            help="A Katib Experiment, or a Job of numbered trials; auto: Katib where it is.", rich_help_panel=CLUSTER
        ),
    ] = "auto",
    parallel: Annotated[int, typer.Option(min=1, help="Trials at once.", rich_help_panel=CLUSTER)] = 2,
    study: Annotated[
        str | None, typer.Option(help="Go on with a study that was begun, or gather it.", rich_help_panel=CLUSTER)
    ] = None,
    resume_policy: Annotated[
        Literal["Never", "LongRunning", "FromVolume"],
        typer.Option(
            help="Of the Experiment: whether it takes more trials when all are done.", rich_help_panel=CLUSTER
        ),
    ] = "Never",
    image: Annotated[
        str | None, typer.Option(help="Of the trials; else spec.runner.image.", rich_help_panel=CLUSTER)
    ] = None,
    manifests: Annotated[
        Path | None,
        typer.Option(
            help="Write the objects here and ask no cluster; - is stdout.", metavar="FILE.yaml", rich_help_panel=CLUSTER
        ),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="Of your kubeconfig; else its current one.", rich_help_panel=CLUSTER)
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("-n", "--namespace", help="Else the context's.", rich_help_panel=CLUSTER)
    ] = None,
) -> None:
    """Search better settings of training, on visits before the days of evaluation, and propose a change of the YAML."""
    from shoploop.cli.tune import tune_on_cluster, tune_recommender

    if on == "cluster":
        from shoploop.cli.tune_on_cluster import OnCluster

        asked = OnCluster(
            by=by, parallel=parallel, study=study, image=image, resume_policy=resume_policy, manifests=manifests,
            context=context, namespace=namespace,
        )  # fmt: skip
        tune_on_cluster(file, asked, trials=trials, seed=seed, timeout_seconds=timeout, out=out, json_=json_)
        return
    tune_recommender(file, store, trials=trials, seed=seed, timeout_seconds=timeout, out=out, json_=json_)
