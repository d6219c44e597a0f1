"""How time and memory of each step grow with a shop's events, and what a million items cost.

The shop is drawn here: the same items and days, and as many shoppers as the events ask for, each of whom comes again for what
they like. It is run as a person runs it, each step a process, whose seconds and memory the run's record says. What has a
fixed price, such as imports, counts in both, so that a fitted exponent is that of a person's waiting and not of an algorithm.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.errors import ShoploopError, SpecInvalid

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

LONGEST_SECONDS = 900
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
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Runs shops of ``events`` times each of ``factors`` events, and measures a training step over ``items`` items.

    Args:
        users: Sizes of further shops, of which the steps that read all rows are carried out (:func:`many_users`).
        epochs: In which each module learns alone.

    Returns:
        ``events``; ``steps``, by name ``seconds`` and ``peak_rss_bytes`` for each, and ``exponent`` and
        ``memory_exponent`` (:func:`exponent`); ``items``, see :func:`many_items`; ``users``, see :func:`many_users`.

    Raises:
        SpecInvalid: the sizes are no shop.
    """
    if events < 2_000 or not factors or min(factors) < 1 or list(factors) != sorted(set(factors)):
        raise SpecInvalid("A shop here has 2,000 events at least, and the factors are whole numbers, ascending.")
    if list(users) != sorted(set(users)) or any(count < 1_000 for count in users):
        raise SpecInvalid("Shops of many users have 1,000 at least, and their numbers ascend.")
    sizes = [events * factor for factor in factors]
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
    shop = {"items": ITEMS, "days": DAYS, "events_a_shopper": EVENTS_A_SHOPPER}
    found = {"events": sizes, "steps": steps, "cores": os.cpu_count(), "shop": shop}
    if items:
        say(f"{items:,} items")
        found["items"] = many_items(items)
    if users:
        found["users"] = many_users(users, say)
    return found


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float | None:
    """The e of ``value = c * size**e`` by least squares of the logarithms; None where two sizes are lacking."""
    if len(sizes) < 2:
        return None
    slope = np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0]
    return round(float(slope), 3)


def many_users(users: Sequence[int], say: Callable[[str], None] = lambda what: None) -> dict[str, Any]:
    """What the steps that read all rows take of shops of so many users, each step a process.

    Returns:
        ``users``, ``events`` of each; ``steps``, by name ``seconds``, ``peak_rss_bytes``, ``exponent``, ``memory_exponent``
        over the sizes that were done, and ``why`` of the first that was not; from there on a step has None.
    """
    steps: dict[str, dict[str, Any]] = {name: {"seconds": [], "peak_rss_bytes": [], "why": None} for name in DATA_STEPS}
    for count in users:
        with tempfile.TemporaryDirectory(prefix="shoploop-scale-") as name:
            folder = Path(name)
            write_shop(folder, EVENTS_A_USER * count, events_a_shopper=EVENTS_A_USER)
            (folder / "recommender.yaml").write_text("metadata: {name: recommender}\n" + RECOMMENDER.format(epochs=1))
            why: str | None = None
            for step, found in steps.items():
                seconds, peak, why = (None, None, why) if why else _one_step(folder, step)
                found["seconds"].append(seconds)
                found["peak_rss_bytes"].append(peak)
                found["why"] = found["why"] or why
        say(f"{count:,} users: {sum(step['seconds'][-1] or 0 for step in steps.values()):.0f} s")
    for found in steps.values():
        done = [place for place, seconds in enumerate(found["seconds"]) if seconds is not None]
        sizes = [float(users[place]) for place in done]
        found["exponent"] = exponent(sizes, [found["seconds"][place] for place in done])
        found["memory_exponent"] = exponent(sizes, [found["peak_rss_bytes"][place] for place in done])
    return {"users": list(users), "events": [EVENTS_A_USER * count for count in users], "steps": steps}


def _one_step(folder: Path, step: str) -> tuple[float | None, int | None, str | None]:
    """Seconds and peak memory, in bytes, of one step, by the run's record; or why there are none."""
    from shoploop.runs.record import Record, read_record
    from shoploop.store import Store, layout

    run_id = "20260101-000000-scale"
    words = ["--steps", step, "--spec", "recommender.yaml", "--run", run_id, "--store", "store"]
    command = [sys.executable, "-m", "shoploop.runs", "run", *words, "--data-root", ".", "--work", "work"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        return None, None, f"{step} was not done in {LONGEST_SECONDS // 60} minutes"
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        how = "was killed (out of memory?)" if done.returncode < 0 else f"failed: {said[-1] if said else 'no word'}"
        return None, None, f"{step} {how}"
    record = read_record(Store(str(folder / "store")), layout.run("recommender", run_id), run_id)
    assert isinstance(record, Record), "it has just been written"
    (carried_out,) = (one for one in record.steps if one.name == step)
    return round(carried_out.seconds, 2), carried_out.peak_rss_bytes or 0, None


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
    import resource
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
