"""How time and memory of each step grow with a shop's events and users, and what a million items cost.

The shop is drawn here: the same items and days, and as many shoppers as the events ask for, each of whom comes again for what
they like. It is run as a person runs it, each step a process, whose seconds and memory the run's record says. What has a
fixed price, such as imports, counts in both, so that a fitted exponent is that of a person's waiting and not of an algorithm.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.errors import NotFound, ShoploopError, SpecInvalid

EVENTS = 20_000
FACTORS = (1, 2, 4, 8, 16)
ITEMS, DAYS, EVENTS_A_SHOPPER = 1_000, 90, 100
FIRST_SECOND = 1_735_689_600
"""Of 2025, since 1970."""

MANY_ITEMS = 1_000_000
DRAWN = 512
"""Candidates and items drawn beside them that a request's softmax is over, instead of over a million."""

EVENTS_A_USER = 4
"""Of shops of many users: a basket each, more or less."""

DATA_STEPS = ("load_data", "validate_data", "materialize_features")
"""Of a shop of many users: they see all its rows, while what is learned from is bounded by days."""

LONGEST_SECONDS = 3600
"""A step of a shop of many users is given no longer; the page says that it was not done."""

RECOMMENDER = """spec:
  data:
    tables:
      interactions: {{uri: events.parquet}}
      items: {{uri: items.parquet}}
  augmentation: {{mode: Never}}
  importance: {{estimator: None}}
  training: {{epochs: {epochs}, evaluationDays: 7, trainingDays: 21}}
  gate: {{rule: Always}}
"""
"""Two proofs are left out: how long they try is bounded whatever the shop's size."""


def run(
    *,
    events: int = EVENTS,
    factors: Sequence[int] = FACTORS,
    items: int = MANY_ITEMS,
    users: Sequence[int] = (),
    epochs: int = 1,
    earlier: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Runs shops of ``events`` times each of ``factors`` events, and measures a training step over ``items`` items.

    Args:
        events: 0 leaves this part out.
        items: 0 leaves this part out.
        users: Sizes of further shops, of which the steps that read all rows are carried out (:func:`many_users`).
        epochs: In which each module learns alone.
        earlier: What was returned before; the parts that are left out, and other numbers of users, are its.

    Returns:
        ``events``; ``steps``, by name ``seconds`` and ``peak_rss_bytes`` for each, and ``exponent``,
        ``memory_exponent`` and, of the two largest, ``last_exponent`` (:func:`exponent`); ``items``, see
        :func:`many_items`; ``users``, see :func:`many_users`.

    Raises:
        SpecInvalid: the sizes are no shop, or every part is left out.
    """
    if events and (events < 2_000 or not factors or min(factors) < 1 or list(factors) != sorted(set(factors))):
        raise SpecInvalid("A shop here has 2,000 events at least, and the factors are whole numbers, ascending.")
    if list(users) != sorted(set(users)) or any(count < 1_000 for count in users):
        raise SpecInvalid("Shops of many users have 1,000 at least, and their numbers ascend.")
    found = dict(earlier or {})
    if events:
        found |= _many_events([events * factor for factor in factors], epochs, say)
    if items:
        say(f"{items:,} items")
        found["items"] = many_items(items)
    if users:
        found["users"] = many_users(users, say, earlier=found.get("users"))
    if not found:
        raise SpecInvalid("Nothing is left to measure: name events, items or users, or what was found earlier.")
    return found


def _many_events(sizes: Sequence[int], epochs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The parts ``events`` and ``steps`` of :func:`run`, and what they were measured on."""
    steps: dict[str, dict[str, Any]] = {}
    for size in sizes:
        for name, (seconds, peak) in _one_run(size, epochs).items():
            step = steps.setdefault(name, {"seconds": [], "peak_rss_bytes": []})
            step["seconds"].append(round(seconds, 2))
            step["peak_rss_bytes"].append(peak)
        say(f"{size:,} events: {sum(step['seconds'][-1] for step in steps.values()):.0f} s")
    for step in steps.values():
        step["exponent"] = exponent(sizes, step["seconds"])
        step["memory_exponent"] = exponent(sizes, step["peak_rss_bytes"])
        step["last_exponent"] = exponent(sizes[-2:], step["seconds"][-2:])
    shop = {"items": ITEMS, "days": DAYS, "events_a_shopper": EVENTS_A_SHOPPER}
    return {"events": sizes, "steps": steps, "cores": os.cpu_count(), "shop": shop}


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The e of ``value = c * size**e`` by least squares of the logarithms; None where two sizes are lacking."""
    if len(sizes) < 2:
        return None
    slope = np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0]
    return round(float(slope), 3)


def own_exponent(sizes: Sequence[int], values: Sequence[float | None]) -> float | None:
    """The e of what a step takes beyond what it takes of the smallest size, which is mostly its fixed price.

    Fitted to the sizes where this own work is at least half the fixed price, below which it is noise; None where these are
    not two, or where the smallest size was not done.
    """
    fixed = values[0] if values else None
    if fixed is None:
        return None
    own = [(size, value - fixed) for size, value in zip(sizes, values, strict=True) if value and value >= 1.5 * fixed]
    return exponent([size for size, _ in own], [value for _, value in own])


def many_users(
    users: Sequence[int], say: Callable[[str], None] = lambda what: None, *, earlier: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the steps that read all rows take of shops of so many users, each step a process.

    Args:
        earlier: What was returned before: its sizes are kept, but for those that are measured again.

    Returns:
        ``users``, ``events`` and ``buyers`` of each; ``cores``; ``steps``, by name, for each size: ``seconds`` within
        the step, ``cpu_seconds`` of its whole process, ``peak_rss_bytes``, all None where it was not done, and
        ``why`` then; and ``exponent`` of the CPU seconds and ``memory_exponent`` (:func:`own_exponent`).
        What follows a step that was not done is not tried.
    """
    steps: dict[str, dict[str, Any]] = {
        name: {"seconds": [], "cpu_seconds": [], "peak_rss_bytes": [], "why": []} for name in DATA_STEPS
    }
    buyers = []
    for count in users:
        with tempfile.TemporaryDirectory(prefix="shoploop-scale-") as name:
            folder = Path(name)
            write_shop(folder, EVENTS_A_USER * count, events_a_shopper=EVENTS_A_USER)
            buyers.append(_buyers(folder))
            (folder / "recommender.yaml").write_text("metadata: {name: recommender}\n" + RECOMMENDER.format(epochs=1))
            undone: str | None = None
            for step, found in steps.items():
                measured = {"why": f"{undone} was not done"} if undone else _one_step(folder, step)
                for what, values in found.items():
                    values.append(measured.get(what))
                if why := measured.get("why"):
                    say(f"{count:,} users: {step} was NOT done: {why}")
                    undone = undone or step
                else:
                    say(f"{count:,} users: {step} {measured['seconds']} s, {measured['cpu_seconds']} s of CPU")
    sizes = list(users)
    if earlier is not None:
        kept = [place for place, size in enumerate(earlier["users"]) if size not in users]
        order = np.argsort([*users, *(earlier["users"][place] for place in kept)])

        def together(new: list[Any], old: list[Any]) -> list[Any]:
            both = [*new, *(old[place] for place in kept)]
            return [both[place] for place in order]

        sizes, buyers = together(sizes, earlier["users"]), together(buyers, earlier["buyers"])
        for step, found in steps.items():
            steps[step] = {what: together(values, earlier["steps"][step][what]) for what, values in found.items()}
    for found in steps.values():
        found["exponent"] = own_exponent(sizes, found["cpu_seconds"])
        found["memory_exponent"] = own_exponent(sizes, found["peak_rss_bytes"])
    events = [EVENTS_A_USER * count for count in sizes]
    return {"users": sizes, "events": events, "buyers": buyers, "cores": os.cpu_count(), "steps": steps}


def _buyers(folder: Path) -> int:
    """Users of a shop who came at all: baskets fall on users at random."""
    return int(pl.scan_parquet(folder / "events.parquet").select(pl.col("user").n_unique()).collect().item())


def _one_step(folder: Path, step: str) -> dict[str, Any]:
    """``seconds``, ``cpu_seconds`` and ``peak_rss_bytes`` of a step that the run's record says is done; else ``why``."""
    from shoploop.runs.record import Record, read_record
    from shoploop.store import Store, layout

    run_id = "20260101-000000-scale"
    words = ["--steps", step, "--spec", "recommender.yaml", "--run", run_id, "--store", "store"]
    command = [sys.executable, "-m", "shoploop.runs", "run", *words, "--data-root", ".", "--work", "work"]
    before = _cpu_of_children()
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the step may have processes of its own
            return {"why": f"it was not done in {LONGEST_SECONDS // 60} minutes"}
    cpu = _cpu_of_children() - before
    if process.returncode < 0:
        return {"why": f"it was killed by signal {-process.returncode} (out of memory?)"}
    try:
        record = read_record(Store(str(folder / "store")), layout.run("recommender", run_id), run_id)
    except NotFound:  # it failed before the run began
        record = None
    carried_out = record.step(step) if isinstance(record, Record) else None
    if process.returncode or carried_out is None or carried_out.state != "done":
        error = carried_out.error if carried_out else None
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        return {"why": f"it failed (exit {process.returncode}): {error or last}"}
    peak = carried_out.peak_rss_bytes or None
    return {"seconds": round(carried_out.seconds, 2), "cpu_seconds": round(cpu, 2), "peak_rss_bytes": peak}


def _cpu_of_children() -> float:
    """CPU seconds of all processes that were waited for, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_shop(folder: Path, events: int, *, events_a_shopper: int = EVENTS_A_SHOPPER, seed: int = 0) -> None:
    """``events.parquet`` and ``items.parquet`` of a shop of so many purchases.

    A shopper buys three baskets of four things in ten from twenty favourites, drawn by what sells (Zipf), else anything.
    """
    rng = np.random.default_rng(seed)
    shoppers = max(events // events_a_shopper, 20)
    chances = 1 / np.arange(1, ITEMS + 1)
    chances /= chances.sum()
    favourites = rng.choice(ITEMS, size=(shoppers, 20), p=chances)
    baskets = events // 4
    who = rng.integers(0, shoppers, baskets)
    when = np.sort(rng.integers(0, DAYS * 86_400, baskets))
    of_basket = np.repeat(np.arange(baskets), 4)
    liked = favourites[who[of_basket], rng.integers(0, 20, len(of_basket))]
    other = rng.choice(ITEMS, size=len(of_basket), p=chances)
    bought = np.where(rng.random(len(of_basket)) < 0.7, liked, other)
    frame = pl.DataFrame(
        {
            "user": who[of_basket],
            "item": bought,
            "time": pl.from_epoch(pl.Series(when[of_basket] + FIRST_SECOND), time_unit="s"),
        }
    ).unique(["user", "item", "time"], maintain_order=True)
    frame = frame.with_columns(
        user=pl.concat_str(pl.lit("u"), "user"), item=pl.concat_str(pl.lit("i"), "item"), kind=pl.lit("purchase")
    )
    frame.write_parquet(folder / "events.parquet")
    items = pl.DataFrame(
        {
            "item": [f"i{item}" for item in range(ITEMS)],
            "title": [f"Thing {item}" for item in range(ITEMS)],
            "category": [[f"Aisle {item % 20}"] for item in range(ITEMS)],
        }
    )
    items.write_parquet(folder / "items.parquet")


def _one_run(events: int, epochs: int) -> dict[str, tuple[float, int]]:
    """Seconds and peak memory, in bytes, of each step."""
    from shoploop.runs.record import Record, read_record
    from shoploop.store import Store, layout

    with tempfile.TemporaryDirectory(prefix="shoploop-scale-") as name:
        folder = Path(name)
        write_shop(folder, events)
        (folder / "recommender.yaml").write_text(RECOMMENDER.format(epochs=epochs))
        command = [sys.executable, "-m", "shoploop", "run", "-f", "recommender.yaml", "--store", "store"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise ShoploopError(f"A run on {events} events failed: {(done.stderr or done.stdout).strip()[-500:]}")
        store = Store(str(folder / "store"))
        (run_id,) = store.folders(layout.runs("recommender"))
        record = read_record(store, layout.run("recommender", run_id), run_id)
        if not isinstance(record, Record):
            raise ShoploopError(f"The record of a run on {events} events cannot be read.")
        return {step.name: (step.seconds, step.peak_rss_bytes or 0) for step in record.steps}


def many_items(items: int) -> dict[str, Any]:
    """What a training step and a list of the hundred best of so many items take, in a process of its own.

    Returns:
        ``items``; ``training_step_seconds`` and ``top_100_seconds`` (medians), ``peak_rss_bytes``, ``parameters_bytes``,
        ``requests`` of a step, and ``drawn``, over which its softmax is.
    """
    done = subprocess.run(
        [sys.executable, "-m", "shoploop.bench.scale", str(items)], capture_output=True, text=True, timeout=1800
    )
    if done.returncode:
        raise ShoploopError(f"{items} items could not be measured: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measure_items(items: int, *, repetitions: int = 7) -> dict[str, Any]:
    import statistics
    import time

    import torch

    from shoploop.features.baskets import BASKETS, BasketSequence
    from shoploop.models.behaviour import Behaviour
    from shoploop.models.fusion import FusedModel
    from shoploop.models.inputs import ModelInput, collate
    from shoploop.models.sequence import SequenceModel
    from shoploop.training.loop import LabelledBatch, TrainConfig, losses

    torch.manual_seed(0)
    torch.set_num_threads(1)  # as training does
    rng, features, factors = np.random.default_rng(0), 20, 64
    model = FusedModel(
        FusedModel.Config(
            behaviour=Behaviour.Config(features=features, pieces=0),
            sequence=SequenceModel.Config(items=items, factors=factors),
        )
    )
    with torch.no_grad():
        model.sequence.factors_IF.normal_()
    requests = TrainConfig().batch_requests

    def request() -> ModelInput:
        events = np.sort(rng.integers(0, BASKETS, 60)).astype(np.int32)
        sequence = BasketSequence(
            items_E=rng.integers(0, items, 60).astype(np.int32),
            baskets_E=events,
            ages_L=np.arange(1, BASKETS + 1, dtype=np.int32),
        )
        drawn = np.sort(rng.choice(items, DRAWN, replace=False)).astype(np.int32)
        known = rng.standard_normal((DRAWN, features)).astype(np.float32)
        return ModelInput(items_N=drawn, features_NK=known, sequence=sequence)

    batch = collate([request() for _ in range(requests)])
    labels_BN = torch.zeros(batch.mask_BN.shape)
    labels_BN[:, 0] = 1.0
    labelled = LabelledBatch(batch=batch, labels_BN=labels_BN, weights_BN=torch.ones(batch.mask_BN.shape))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        dnn, transformer, fused = losses(model(labelled.batch), labelled)
        torch.autograd.backward(dnn + transformer + fused)
        optimiser.step()

    def best() -> torch.Tensor:
        with torch.inference_mode():
            user_BD, _ = model.sequence.encode(one)
            return (vectors_ID @ user_BD[0] + model.sequence.item_bias_I).topk(100).indices

    def timed(act: Callable[[], Any]) -> float:
        seconds = []
        for _ in range(repetitions + 1):
            began = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds[1:])

    step_seconds = timed(step)
    model.eval()
    one = collate([request()])
    with torch.inference_mode():
        vectors_ID = model.sequence.item_vectors()
    return {
        "items": items,
        "requests": requests,
        "drawn": DRAWN,
        "training_step_seconds": round(step_seconds, 4),
        "top_100_seconds": round(timed(best), 4),
        "parameters_bytes": sum(value.numel() * value.element_size() for value in model.state_dict().values()),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(_measure_items(int(sys.argv[1]))))
