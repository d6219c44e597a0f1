"""``shoploop bench``: one command a benchmark."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from shoploop.cli.options import JsonOption, LogOption, Seed, StoreOption, readable_store, writable_store

app = typer.Typer(help="Benchmarks; they print JSON with --json -.", no_args_is_help=True)


Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Once for each training. [default: 0]")]


@app.command("next-basket")
def bench_next_basket(
    dataset: Annotated[str, typer.Option(help="A known dataset, or tafeng.")] = "completejourney",
    offers: Annotated[bool, typer.Option("--offers", help="With what was on offer, where that is known.")] = False,
    store_known: Annotated[
        bool, typer.Option("--store-known", help="With the shop of each visit, of half of those that are learned from.")
    ] = False,
    targets: Annotated[
        int, typer.Option(min=1, max=5, help="So many of each user's last visits, each learned for by itself.")
    ] = 1,
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Predict each shopper's last basket, by every method, with intervals."""
    from shoploop.bench.prediction.contest import contest
    from shoploop.bench.prediction.datasets import basket_problem
    from shoploop.bench.prediction.rivals.contest import refuse_weak
    from shoploop.cli.bench import measure

    problem, *earlier = (
        basket_problem(dataset, offers=offers, in_shop=store_known, back=back) for back in range(targets)
    )
    refuse_weak(measure(lambda say: contest(problem, seeds=seed or [0], earlier=earlier, say=say), json_))


@app.command("next-item")
def bench_next_item(
    dataset: Annotated[str, typer.Option(help="amazon-beauty.")] = "amazon-beauty",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Predict each shopper's last item of all, by every method, with intervals."""
    from shoploop.bench.prediction.contest import contest
    from shoploop.bench.prediction.datasets import item_problem
    from shoploop.bench.prediction.rivals.contest import refuse_weak
    from shoploop.cli.bench import measure

    refuse_weak(measure(lambda say: contest(item_problem(dataset), seeds=seed or [0], say=say), json_))


@app.command("next-click")
def bench_next_click(
    dataset: Annotated[str, typer.Option(help="yoochoose.")] = "yoochoose",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Predict each next click of a session, by every method, with intervals."""
    from shoploop.bench.prediction.contest import contest
    from shoploop.bench.prediction.datasets import click_problem
    from shoploop.bench.prediction.rivals.contest import refuse_weak
    from shoploop.cli.bench import measure

    refuse_weak(measure(lambda say: contest(click_problem(dataset), seeds=seed or [0], say=say), json_))


@app.command("classification")
def bench_classification(
    dataset: Annotated[
        str, typer.Option(help="A known dataset whose items have titles and categories.")
    ] = "completejourney",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Tell the category of items from behaviour and text: each tower, both fused, and what is simple, with intervals."""
    from shoploop.bench.classification.contest import classification
    from shoploop.bench.classification.problem import of_tables
    from shoploop.bench.prediction.next_basket import tables_of
    from shoploop.cli.bench import measure

    def benchmark(say: Callable[[str], None]) -> dict[str, Any]:
        say("loading")
        interactions, items, _ = tables_of(dataset)
        return classification(of_tables(interactions, items), dataset, seeds=seed or [0], say=say)

    measure(benchmark, json_)


@app.command("sequence-epoch")
def bench_sequence_epoch(
    dataset: Annotated[str, typer.Option(help="amazon-beauty or yoochoose.")] = "amazon-beauty",
    seed: Seed = 0,
    json_: JsonOption = None,
) -> None:
    """Time one epoch of the Transformer over a whole log, and rank all items, beside a plain SASRec."""
    from shoploop.bench.prediction.datasets import problem_of
    from shoploop.bench.prediction.sequence_epoch import sequence_epoch
    from shoploop.cli.bench import measure

    measure(lambda say: sequence_epoch(problem_of(dataset), seed=seed, say=say), json_)


@app.command("ablation")
def bench_ablation(
    dataset: Annotated[str, typer.Option(help="A known dataset, tafeng or amazon-beauty.")] = "completejourney",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """What each network, their mean, a learned α and an α by circumstances give, with intervals."""
    from shoploop.bench.prediction.ablation import ablation
    from shoploop.bench.prediction.datasets import problem_of
    from shoploop.cli.bench import measure

    measure(lambda say: ablation(problem_of(dataset), seeds=seed or [0], say=say), json_)


@app.command("candidates")
def bench_candidates(
    dataset: Annotated[str, typer.Option(help="A known dataset, tafeng or amazon-beauty.")] = "completejourney",
    seed: Seed = 0,
    places: Annotated[
        int | None,
        typer.Option(help="Items of all sources together, beside the user's own. As in a run, if not given.", min=100),
    ] = None,
    json_: JsonOption = None,
) -> None:
    """How much of what is bought next the candidates reach, and what each source adds."""
    from shoploop.bench.prediction.contest import candidates
    from shoploop.bench.prediction.datasets import problem_of
    from shoploop.cli.bench import measure

    given = {} if places is None else {"places": places}
    measure(lambda say: candidates(problem_of(dataset), seed=seed, say=say, **given), json_)


@app.command("reasons")
def bench_reasons(
    dataset: Annotated[str, typer.Option(help="A known dataset, tafeng or amazon-beauty.")] = "completejourney",
    name: Annotated[
        str | None, typer.Option(help="The serving version of this recommender instead of one trained for it.")
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="Whose answers are looked at.")] = 300,
    visits: Annotated[int, typer.Option(min=20, help="That the model learns from, at most.")] = 4000,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Are the reasons true: how much a score falls without what its reason names, and without something else."""
    from shoploop.bench.prediction.datasets import problem_of
    from shoploop.bench.prediction.reasons import reasons, reasons_of_version
    from shoploop.cli.bench import measure

    if name is None:
        measure(lambda say: reasons(problem_of(dataset), users=users, visits=visits, seed=seed, say=say), json_)
        return
    opened = readable_store(store)
    measure(lambda say: reasons_of_version(opened, name, users=users, seed=seed, say=say), json_)


@app.command("search")
def bench_search(
    dataset: Annotated[str, typer.Option(help="bestbuy-xbox, online-retail or completejourney.")] = "bestbuy-xbox",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Answer queries by every method, frozen and renewed each day, and say what learning them costs recommendations."""
    from shoploop.bench.search.contest import contest
    from shoploop.bench.search.problems import problem_of
    from shoploop.cli.bench import measure

    measure(lambda say: contest(problem_of(dataset), seeds=seed or [0], say=say), json_)


@app.command("shops")
def bench_shops(
    dataset: Annotated[str, typer.Option(help="completejourney.")] = "completejourney",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Foresee the shop of each visit, day by day, by every method, with intervals."""
    from shoploop.bench.shops.contest import contest
    from shoploop.bench.shops.problems import problem_of
    from shoploop.cli.bench import measure

    measure(lambda say: contest(problem_of(dataset), seeds=seed or [0], say=say), json_)


@app.command("slates")
def bench_slates(
    dataset: Annotated[str, typer.Option(help="trivago-slates.")] = "trivago-slates",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Foresee which item of a list that was shown is clicked, by every method, and say what its place has to do with it."""
    from shoploop.bench.slates.contest import contest
    from shoploop.bench.slates.problems import problem_of
    from shoploop.cli.bench import measure

    measure(lambda say: contest(problem_of(dataset), seeds=seed or [0], say=say), json_)


@app.command("images")
def bench_images(
    dataset: Annotated[str, typer.Option(help="grocery-images.")] = "grocery-images",
    seed: Seeds = None,
    json_: JsonOption = None,
) -> None:
    """Find items by photos of them, also those of which no photo was learned from, by every method."""
    from shoploop.bench.images.contest import contest
    from shoploop.bench.images.problems import problem_of
    from shoploop.cli.bench import measure

    measure(lambda say: contest(problem_of(dataset), seeds=seed or [0], say=say), json_)


@app.command("serving")
def bench_serving(
    name: Annotated[str, typer.Option(help="Name of a recommender that has a promoted version.")] = "grocery",
    requests: Annotated[int, typer.Option(min=100)] = 10_000,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Time the real service with one client and with 32, beside a bare one, and compare its answers with offline scores."""
    from shoploop.bench import serving
    from shoploop.cli.bench import measure

    opened = writable_store(store)
    measure(lambda progress: serving.run(opened.uri, name, seed=seed, requests=requests, progress=progress), json_)


@app.command("events")
def bench_events(log: LogOption = "sqlite", json_: JsonOption = None) -> None:
    """Events a second that a log accepts durably, and what a killed writer costs.

    Of --log redis and kafka without an address a server of its own is started.
    """
    from shoploop.bench import events
    from shoploop.bench.log_servers import own_server
    from shoploop.cli.bench import measure
    from shoploop.cli.logs import log_of, names_place

    wanted = log_of(log)
    with nullcontext(wanted) if names_place(log) else own_server(wanted) as opened:
        measure(lambda say: events.run(log=opened, say=say), json_)


@app.command("online")
def bench_online(
    name: Annotated[str, typer.Option(help="Name of a recommender that has a promoted version.")] = "grocery",
    events: Annotated[int, typer.Option(min=100)] = 20_000,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="Also train and replay completejourney or yoochoose; may be given again. [default: both, the second only "
            "where SHOPLOOP_BENCH_DATA says where it lies]"
        ),
    ] = None,
    trainings: Annotated[
        int, typer.Option(min=0, help="Of each dataset, with seeds from 0 on; 0 leaves them out.")
    ] = 3,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Count how many events a second are learned, alone and from the log to a commit, and whether they predict better."""
    from shoploop.bench import online
    from shoploop.bench.prequential import datasets
    from shoploop.cli.bench import measure

    opened, wanted = readable_store(store), datasets(dataset) if trainings else ()
    measure(
        lambda say: online.run(opened, name, events=events, datasets=wanted, trainings=trainings, seed=seed, say=say),
        json_,
    )


@app.command("poison")
def bench_poison(
    events: Annotated[int, typer.Option(min=100, help="Of honest users.")] = 6_000,
    attacks: Annotated[int, typer.Option(min=100, help="Of each stream.")] = 6_000,
    seed: Seed = 0,
    json_: JsonOption = None,
) -> None:
    """Push an item by click farms, floods and clocks that are wrong, flip labels, send NaN: with the defences on and off."""
    from shoploop.bench import poison
    from shoploop.cli.bench import measure

    measure(lambda say: poison.run(events=events, attacks=attacks, seed=seed, say=say), json_)


@app.command("heads")
def bench_heads(
    name: Annotated[str, typer.Option(help="A recommender that serves.")] = "grocery",
    purchases: Annotated[int, typer.Option(min=10, help="How many at most.")] = 2_000,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Whether it would pay to learn α and the DNN's last layer online, too."""
    from shoploop.bench import heads
    from shoploop.cli.bench import measure

    opened = readable_store(store)
    measure(lambda say: heads.run(opened, name, purchases=purchases, seed=seed, say=say), json_)


@app.command("freshness")
def bench_freshness(
    name: Annotated[str, typer.Option(help="Name of a recommender that has a promoted version.")] = "grocery",
    replicas: Annotated[int, typer.Option(min=1)] = 4,
    events: Annotated[int, typer.Option(min=1)] = 100,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Time from an accepted event until every replica answers with a model that learned it."""
    from shoploop.bench import freshness
    from shoploop.cli.bench import measure

    opened = readable_store(store)
    measure(lambda say: freshness.run(opened, name, replicas=replicas, events=events, seed=seed, say=say), json_)


@app.command("kills")
def bench_kills(
    name: Annotated[str, typer.Option(help="Name of a recommender that has a promoted version.")] = "grocery",
    kills: Annotated[int, typer.Option(min=1, help="Of three two learners and one updater.")] = 150,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Kill learner and updater (-9) at random moments while events come, and compare with what was not killed."""
    from shoploop.bench import kills as bench
    from shoploop.cli.bench import measure

    opened = readable_store(store)
    measure(lambda say: bench.run(opened, name, kills=kills, seed=seed, say=say), json_)


@app.command("soak")
def bench_soak(
    name: Annotated[str, typer.Option(help="Name of a recommender that has a promoted version.")] = "grocery",
    minutes: Annotated[float, typer.Option(min=0.01, help="Of load.")] = 20.0,
    online: Annotated[
        bool, typer.Option("--online", help="Learn from it, too, as `shoploop serve --online` does.")
    ] = False,
    aged: Annotated[
        bool, typer.Option("--aged/--new", help="Begin with a log that fills what is bounded, as after weeks.")
    ] = True,
    clients: Annotated[int, typer.Option(min=1, help="That ask at a time.")] = 2,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Serve under load for a long time: do memory, file descriptors, threads or bytes per commit grow, and does it fail."""
    from shoploop.bench import soak
    from shoploop.cli.bench import measure

    opened = readable_store(store)
    measure(
        lambda say: soak.run(
            opened, name, minutes=minutes, online=online, aged=aged, clients=clients, seed=seed, say=say
        ),
        json_,
    )


@app.command("cli")
def bench_cli(json_: JsonOption = None) -> None:
    """Time the command line's own start, and what describe takes on 1,500,000 events."""
    from shoploop.bench import cli
    from shoploop.cli.bench import measure

    measure(lambda progress: cli.run(), json_)


@app.command("operator")
def bench_operator(
    objects: Annotated[int, typer.Option(min=1)] = 500,
    json_: JsonOption = None,
) -> None:
    """Many Recommenders on the cluster of KUBECONFIG, control plane only: how soon all are Ready, and what idling costs."""
    from shoploop.bench import operator
    from shoploop.cli.bench import measure

    measure(lambda progress: operator.run(objects=objects, say=progress), json_)


@app.command("augmentation")
def bench_augmentation(
    dataset: Annotated[str, typer.Option(help="completejourney or breast_cancer.")] = "completejourney",
    seeds: Annotated[int, typer.Option(min=1, help="How many: 0, 1, ...")] = 3,
    use: Annotated[
        bool,
        typer.Option(
            "--use/--no-use", help="Whether variants are trained; likeness and attacks take a fraction of it."
        ),
    ] = True,
    work: Annotated[
        Path | None, typer.Option(help="Folder that keeps what is measured; a benchmark broken off goes on there.")
    ] = None,
    json_: JsonOption = None,
) -> None:
    """Is virtual behaviour like the real, does it leak, and does it pay: every bar's number, with controls."""
    from shoploop.bench.augmentation import run as augmentation
    from shoploop.cli.bench import measure

    measure(lambda progress: augmentation.run(dataset, tuple(range(seeds)), progress, work=work, use=use), json_)


@app.command("importance")
def bench_importance(
    dataset: Annotated[str, typer.Option(help="breast_cancer or completejourney.")] = "breast_cancer",
    tables: Annotated[
        str | None,
        typer.Option(help="Many tables instead: all that chose nothing, choosing, or names with commas between."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="20 of breast_cancer, 3 of completejourney, 5 of tables.")
    ] = None,
    json_: JsonOption = None,
) -> None:
    """Sample importance: who finds flipped labels, what removal and weights do to a model, and how long it takes."""
    from shoploop.bench.importance import run as importance
    from shoploop.cli.bench import measure

    if tables is not None:
        from shoploop.bench.importance import many

        measure(lambda progress: many.run(tables, seeds or 5, progress), json_)
        return
    measure(lambda progress: importance.run(dataset=dataset, seeds=seeds, progress=progress), json_)


@app.command("counterfactual")
def bench_counterfactual(
    worlds: Annotated[int, typer.Option(min=1, help="Simulated, each with its own truth.")] = 1000,
    answers: Annotated[int, typer.Option(min=1000, help="Logged in each.")] = 50_000,
    seed: Seed = 0,
    json_: JsonOption = None,
) -> None:
    """Is the counterfactual gate right: do its intervals hold the truth, and does it refuse what is 5 % worse."""
    from shoploop.bench.counterfactual import run as counterfactual
    from shoploop.cli.bench import measure

    measure(lambda say: counterfactual(worlds=worlds, answers=answers, seed=seed, say=say), json_)


@app.command("promotions")
def bench_promotions(
    name: Annotated[str, typer.Option(help="Name of a recommender that has a promoted version.")] = "grocery",
    count: Annotated[int, typer.Option(min=2, help="Promotions and rollbacks together.")] = 1000,
    seed: Seed = 0,
    store: StoreOption = None,
    json_: JsonOption = None,
) -> None:
    """Promote and roll back the real service under load: does a request fail, and how much later is one answered."""
    from shoploop.bench import promotions
    from shoploop.cli.bench import measure

    opened = readable_store(store)
    measure(lambda say: promotions.run(opened, name, count=count, seed=seed, say=say), json_)


@app.command("scale")
def bench_scale(
    events: Annotated[int, typer.Option(help="Of the smallest shop; 0: none is run.")] = 20_000,
    factors: Annotated[str, typer.Option(help="How many times as many the others have.")] = "1,2,4,8,16",
    items: Annotated[int, typer.Option(help="Of the model whose training step is measured; 0: none.")] = 1_000_000,
    users: Annotated[
        str, typer.Option(help="Of further shops, whose data steps alone are measured, e.g. 100000,1000000.")
    ] = "",
    epochs: Annotated[int, typer.Option(help="In which each module learns alone.")] = 1,
    earlier: Annotated[
        Path | None,
        typer.Option(help="JSON of this command, for the parts that are left out now.", metavar="FILE.json"),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Also write docs/scale.md, or another file.", metavar="FILE.md")
    ] = None,
    json_: JsonOption = None,
) -> None:
    """Time and memory of each step against events or users; a training step and the hundred best of a million items."""
    from shoploop.bench import scale
    from shoploop.bench.scale_page import read_earlier, write_page
    from shoploop.cli.bench import measure
    from shoploop.errors import SpecInvalid

    def whole(name: str, text: str) -> list[int]:
        try:
            return [int(number) for number in text.split(",") if text]
        except ValueError as error:
            raise SpecInvalid(f"--{name} is {text!r}; it is whole numbers with commas, e.g. 1,2,4.") from error

    times, counts = whole("factors", factors), whole("users", users)
    before = read_earlier(earlier) if earlier is not None else None
    found = measure(
        lambda say: scale.run(
            events=events, factors=times, items=items, users=counts, epochs=epochs, earlier=before, say=say
        ),
        json_,
    )
    if page is not None:
        write_page(page, found)
