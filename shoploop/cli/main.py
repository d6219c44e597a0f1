"""``shoploop``: one command a job, grouped by who needs it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from shoploop import exits as errors
from shoploop.cli.bench_commands import app as bench_app
from shoploop.cli.event_commands import app as events_app
from shoploop.cli.keys import app as keys_app
from shoploop.cli.kubeflow_commands import CaFile, Endpoint, TokenFile, Wait
from shoploop.cli.kubeflow_commands import app as kubeflow_app
from shoploop.cli.online_commands import app as online_app
from shoploop.cli.options import (
    File,
    JsonOption,
    LogOption,
    Name,
    Seed,
    StoreOption,
    person,
    readable_store,
    whole_number,
    writable_store,
)
from shoploop.errors import SpecInvalid

app = typer.Typer(
    name="shoploop",
    help="The learning loop of a shop: from raw events to a served recommender that keeps learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(events_app, name="events", rich_help_panel="Run")
app.add_typer(online_app, name="online", rich_help_panel="Run")
data_app = typer.Typer(help="Your own files, on their way to a cluster.", no_args_is_help=True)
app.add_typer(data_app, name="data", rich_help_panel="Data")
app.add_typer(bench_app, name="bench", rich_help_panel="Measure")
app.add_typer(keys_app, name="keys", rich_help_panel="Versions")
app.add_typer(kubeflow_app, name="kubeflow", rich_help_panel="Cluster")

RUN, DATA, VERSIONS, LOOK, CLUSTER = "Run", "Data", "Versions", "Look", "Cluster"


FOLLOWS = "A running `shoploop serve` follows within two seconds; predictors elsewhere are for whoever runs them."


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


@app.command(rich_help_panel=RUN)
def run(file: File, store: StoreOption = None) -> None:
    """Run the loop once: raw tables to a packaged version. Steps that are done already are reused."""
    from shoploop.cli.run import run_recommender

    run_recommender(file, store)


@app.command("try", rich_help_panel=RUN)
def try_(
    name: Name,
    user: Annotated[str | None, typer.Option(help="Whom to recommend for; else somebody with a history.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many items.")] = 8,
    store: StoreOption = None,
) -> None:
    """Start the service, ask it for one user's recommendations, and print them for a person."""
    from shoploop.cli.ask import try_recommender

    try_recommender(readable_store(store), name, user=user, k=k)


@app.command("profile", rich_help_panel=RUN)
def profile_(
    name: Name,
    user: Annotated[str, typer.Option(help="Whose profile.")],
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """What the serving version knows of one user: what they buy, how often, what is due, which kinds, where."""
    from shoploop.cli.profile import show_profile

    show_profile(readable_store(store), name, user=user, json_=json_)


@app.command(rich_help_panel=RUN)
def serve(
    name: Name,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    version: Annotated[str | None, typer.Option(help="A version other than the one that is promoted.")] = None,
    log: LogOption = "sqlite",
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
    from shoploop.cli.events import last_spec, log_of
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
            log=log_of(log),
            out_of_stock=out_of_stock,
            online=online,
            access=access,
            admin_port=admin_port,
        )
    )


@app.command(rich_help_panel=RUN)
def replay(
    name: Name,
    speed: Annotated[float, typer.Option(min=1, max=1e9, help="So many times faster than it was.")] = 1000,
    purchases: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")] = 5_000,
    period: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two commits at least.", metavar="SECONDS")
    ] = 1.0,
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
        readable_store(store), name, speed=speed, purchases=purchases, period_seconds=period, seed=seed, out=out, show=open_,
        json_=json_,
    )  # fmt: skip


@app.command(rich_help_panel=RUN)
def augment(
    file: File,
    out: Annotated[
        Path | None, typer.Option(help="Where the page is written; else into the store.", metavar="FILE.html")
    ] = None,
    json_: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the numbers as JSON; - is stdout, and only JSON."),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Find out whether virtual behaviour pays, and write a page with real and virtual shoppers side by side."""
    from shoploop.cli.augment import augment_recommender

    augment_recommender(file, store, out, json_)


@app.command(rich_help_panel=RUN)
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
        str | None, typer.Option("--json", metavar="FILE", help="Write the sheet as JSON; - is stdout, and only JSON.")
    ] = None,
) -> None:
    """Write a synthetic data set, with its sheet beside it: how like the real it is, and which attacks failed."""
    from shoploop.cli.augment import synthesize_events

    synthesize_events(file, rows, out, condition, json_)


@app.command(rich_help_panel=RUN)
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


@app.command(rich_help_panel=RUN)
def tune(
    file: File,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="In all, with those that an earlier tune did.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same trials.")] = 0,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Begin no trial after so many seconds.", metavar="SECONDS")
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


@app.command(rich_help_panel=LOOK)
def runs(
    name: Name,
    log: Annotated[
        str | None, typer.Option(help="Print what the steps of this run have written.", metavar="RUN")
    ] = None,
    store: StoreOption = None,
) -> None:
    """List the runs of a recommender, newest first."""
    from shoploop.cli import tables

    if log is None:
        tables.print_runs(readable_store(store), name)
    else:
        tables.print_log(readable_store(store), name, log)


@app.command(rich_help_panel=VERSIONS)
def gc(
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    runs: Annotated[int | None, typer.Option(min=1, max=1000, help="Runs to keep; spec.retention.runs.")] = None,
    versions: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Versions to keep; spec.retention.versions.")
    ] = None,
    json_: Annotated[str | None, typer.Option("--json", help="Write what went as JSON; - for stdout.")] = None,
    store: StoreOption = None,
) -> None:
    """Remove runs, outputs and versions beyond spec.retention; nothing that is in use."""
    from shoploop.cli import gc as gc_

    gc_.collect(
        readable_store(store) if dry_run else writable_store(store),
        name,
        dry_run=dry_run,
        runs=runs,
        versions=versions,
        target=json_,
    )


@app.command(rich_help_panel=VERSIONS)
def versions(name: Name, store: StoreOption = None) -> None:
    """List the versions of a recommender and which of them serves."""
    from shoploop.cli import tables

    tables.print_versions(readable_store(store), name)


@app.command(rich_help_panel=LOOK)
def lineage(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="A version other than the one that serves.")] = None,
    user: Annotated[str | None, typer.Option(help="Say which versions have read rows of this user.")] = None,
    json_: JsonOption = None,
    store: StoreOption = None,
) -> None:
    """Say what a version learned from, or which versions a user's rows touched."""
    from shoploop.cli import lineage as lineage_

    if user is None:
        lineage_.show(readable_store(store), name, version, json_)
    elif version is None:
        lineage_.show_user(readable_store(store), name, user, json_)
    else:
        raise SpecInvalid("Name a version or a --user, not both: a user's answer tells of every version.")


@app.command(rich_help_panel=LOOK)
def report(
    name: Name,
    run: Annotated[str | None, typer.Option(help="A run other than the last one.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    store: StoreOption = None,
) -> None:
    """Say where the report of a run lies; --open shows it."""
    from shoploop.cli import tables

    tables.print_report(readable_store(store), name, run=run, show=open_)


@app.command(rich_help_panel=VERSIONS)
def promote(
    name: Name,
    version: Annotated[str, typer.Argument(help="Version that is to serve.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the promotions log.")] = "promoted by hand",
    store: StoreOption = None,
) -> None:
    """Let a version serve, whatever the gate said."""
    from shoploop.versions import promotions

    promotions.promote(writable_store(store), name, version, reason=reason, by=person())
    typer.echo(f"{version} serves {name} from now on. {FOLLOWS}")


@app.command(rich_help_panel=VERSIONS)
def rollback(name: Name, store: StoreOption = None) -> None:
    """Let the version serve that served before."""
    from shoploop.versions import promotions

    entry = promotions.rollback(writable_store(store), name, by=person())
    typer.echo(f"{entry.version} serves {name} from now on. {FOLLOWS}")


@app.command(rich_help_panel=VERSIONS)
def candidate(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="That meets its first shoppers; else say who does.")] = None,
    percent: Annotated[int, typer.Option(min=0, max=99, help="Share of users that it answers.")] = 0,
    step: Annotated[
        list[str] | None,
        typer.Option(help="10:60 is 10 percent for 60 minutes; again for the next. Then it is promoted."),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Let it score, and show what differs as metrics only.")
    ] = False,
    end: Annotated[bool, typer.Option("--end", help="Let the version that serves answer everybody again.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the log.")] = "by hand",
    store: StoreOption = None,
) -> None:
    """Let a version answer some users beside the one that serves; errors or slowness end that by themselves."""
    from shoploop.cli import candidate as candidate_

    opened = readable_store(store) if version is None and not end else writable_store(store)
    candidate_.candidate(
        opened, name, version, percent=percent, steps=step or [], shadow=shadow, end=end, reason=reason, by=person()
    )


@app.command(rich_help_panel=LOOK)
def explain(
    path: Annotated[str, typer.Argument(help="e.g. recommender.spec.training", metavar="PATH")] = "recommender",
) -> None:
    """Explain a field of the resource, as kubectl explain does, without a cluster."""
    from shoploop.api import explain as explain_

    typer.echo(explain_(path))


@app.command(rich_help_panel=LOOK)
def validate(file: File) -> None:
    """Check a recommender.yaml, and its tables' columns, without running it."""
    from shoploop.cli.run import load_with_data
    from shoploop.data.inputs import check_columns

    recommender = load_with_data(file)
    unseen = check_columns(recommender.spec.data)
    typer.echo(f"{file} is a valid Recommender named {recommender.metadata.name!r}.")
    for sentence in unseen:
        typer.echo(sentence)


@app.command(rich_help_panel=DATA)
def describe(file: File, json_: JsonOption = None) -> None:
    """Say what is in your data, whether it is enough, and what a run will take; nothing runs and nothing is written."""
    from shoploop.cli.describe import describe_recommender

    describe_recommender(file, json_)


@app.command(rich_help_panel=DATA)
def datasets(json_: JsonOption = None) -> None:
    """List the datasets that are known by name, and whether they are installed here."""
    from shoploop.cli.datasets import list_datasets

    list_datasets(json_)


@app.command(rich_help_panel=DATA)
def init(
    events: Annotated[str, typer.Argument(help="Your log: a file, a folder, a pattern or a URL.", metavar="EVENTS")],
    items: Annotated[str | None, typer.Option(help="The table of items, if there is one.", metavar="ITEMS")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The YAML to write.", metavar="FILE")] = Path(
        "recommender.yaml"
    ),
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="user=customer_id and the like, where you know it; may be given again.", metavar="NAME=COLUMN"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take every proposal without asking.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the YAML if it is there.")] = False,
) -> None:
    """Look at a log's columns, ask where they leave a doubt, and write a recommender.yaml for it."""
    from shoploop.cli.init import init_recommender

    init_recommender(events, items=items, out=out, columns=column or [], yes=yes, force=force)


@data_app.command("push")
def data_push(file: File, store: StoreOption = None) -> None:
    """Copy the files of a recommender.yaml into the store, and print the YAML that reads them there."""
    from shoploop.cli.push import push_data

    push_data(file, store)


Context = Annotated[str | None, typer.Option(help="Of your kubeconfig; else its current one.")]
Namespace = Annotated[str | None, typer.Option("-n", "--namespace", help="Where the Recommender lies; else any.")]


@app.command(rich_help_panel=CLUSTER)
def doctor(
    context: Context = None,
    namespace: Namespace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a cluster, and print what is missing and the command that mends it."""
    from shoploop.cli import cluster

    raise typer.Exit(cluster.doctor(context=context, namespace=namespace, as_json=as_json))


@app.command(rich_help_panel=CLUSTER)
def status(name: Name, context: Context = None, namespace: Namespace = None) -> None:
    """Say how far a Recommender on the cluster is, and what happened to it."""
    from shoploop.cli import cluster

    raise typer.Exit(cluster.status(name, context=context, namespace=namespace))


@app.command(rich_help_panel=CLUSTER)
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


@app.command(rich_help_panel=CLUSTER)
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


@app.command("open", rich_help_panel=CLUSTER)
def open_(
    name: Name,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Make a Recommender's service on the cluster reachable on this machine, until Ctrl-C."""
    from shoploop.cli import cluster

    raise typer.Exit(cluster.open_recommender(name, port=port, context=context, namespace=namespace))


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
