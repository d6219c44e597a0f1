"""Whether what is learned online predicts better, each purchase predicted before it is learned (prequential evaluation, Gama,
Sebastião, Rodrigues 2013, "On evaluating stream learning algorithms").

The replay is of the days that a version was evaluated on, which its weights have not seen. Its item factors and statistics
are as of the end of the data, for the learner and for the frozen version alike.
"""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from shoploop.api.v1alpha1 import Recommender
from shoploop.bench.prediction.datasets import CLICKS, PLACE
from shoploop.bench.prediction.datasets import folder_of as folder_of_dataset
from shoploop.bench.prediction.next_click import read_clicks
from shoploop.errors import ArtifactCorrupt, NotFound, SpecInvalid
from shoploop.evaluation.intervals import Bootstrap
from shoploop.events.fresh import Recent
from shoploop.events.messages import Kept
from shoploop.online.learner import ItemLearner, LearnerConfig
from shoploop.packaging.local_setup import packaged_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.runs import ThisMachine, follow, new_run
from shoploop.runs.record import folder_of
from shoploop.schemas import POSITIVE_KINDS
from shoploop.store import Store, layout
from shoploop.versions.artifact import MANIFEST, version_id

EPOCH = date(1970, 1, 1)

DATASETS = ("completejourney", *CLICKS)

Say = Callable[[str], None]


def datasets(asked: Sequence[str] | None) -> tuple[str, ...]:
    """Those that are asked for, else all that are there.

    Raises:
        SpecInvalid: one of them is not known here.
    """
    if unknown := set(asked or ()) - set(DATASETS):
        raise SpecInvalid(f"No such benchmark knows the dataset {min(unknown)}. It knows {' and '.join(DATASETS)}.")
    return tuple(asked) if asked else tuple(name for name in DATASETS if name not in CLICKS or os.environ.get(PLACE))


def of_dataset(dataset: str, *, seeds: Sequence[int], replayed: int, say: Say = lambda what: None) -> dict[str, Any]:
    """Trains a version of a dataset with each seed, as a run does, without virtual shoppers and weights of samples.

    Args:
        dataset: One that the product knows, or yoochoose.
        seeds: Of the trainings.
        replayed: How many of the purchases of those days are replayed at most, from the first on.
        say: Told what is being done.

    Returns:
        As :func:`of_version`, of each user the mean over the seeds.

    Raises:
        NotFound: its files are not there.
    """
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as folder:
        store, found = Store(str(Path(folder) / "store")), []
        data = _data(dataset, Path(folder))
        for seed in seeds:
            say(f"{dataset}: a version is trained with seed {seed}")
            run = new_run(_recommender(dataset, data, seed))
            launcher = ThisMachine(store)
            launcher.launch(run)
            follow(launcher, run, lambda event: None)
            ranker = Ranker.load(packaged_ranker(store, dataset))
            found.append(_replayed(store, ranker, dataset, replayed, seed, say, LearnerConfig()))
        return _compared(pl.concat(found), seeds[0]) | {"seeds": list(seeds)}


def _data(dataset: str, folder: Path) -> dict[str, Any]:
    """What a spec says of it."""
    if dataset not in CLICKS:
        return {"dataset": dataset}
    clicks = read_clicks(folder_of_dataset(dataset))
    table = folder / "clicks.parquet"
    clicks.select("user", "item", time=pl.from_epoch(pl.col("seconds").cast(pl.Int64))).write_parquet(table)
    return {"tables": {"interactions": {"uri": str(table)}}}


def _recommender(dataset: str, data: dict[str, Any], seed: int) -> Recommender:
    spec = {
        "data": data,
        "augmentation": {"mode": "Never"},
        "importance": {"estimator": "None"},
        "training": {"seed": seed},
        "gate": {"rule": "Always"},
    }
    about = {"apiVersion": "shoploop.io/v1alpha1", "kind": "Recommender", "metadata": {"name": dataset}}
    return Recommender.model_validate(about | {"spec": spec})


def of_version(
    store: Store,
    ranker: Ranker,
    name: str,
    *,
    replayed: int,
    seed: int,
    say: Say = lambda what: None,
    config: LearnerConfig | None = None,
) -> dict[str, Any]:
    """What a version that lies in a store learns.

    Args:
        store: Where the run lies that made it.
        ranker: The version.
        name: Of the recommender.
        replayed: How many of the purchases of those days are replayed at most, from the first on.
        seed: Of what the learner draws, and of the interval.
        say: Told what is being done.
        config: Of the learner.

    Returns:
        recall@10 (over all items, by w_i·h_u + b_i) and loss (nats) ``online`` and ``frozen``, their ``difference`` and its
        95 % ``interval`` over users; how many ``purchases`` and ``users``.
    """
    return _compared(_replayed(store, ranker, name, replayed, seed, say, config or LearnerConfig()), seed)


def _replayed(
    store: Store, ranker: Ranker, name: str, replayed: int, seed: int, say: Say, config: LearnerConfig
) -> pl.DataFrame:
    """A row for each purchase of an item that the version knows."""
    events, first = later_purchases(store, ranker, name, replayed)
    say(f"{events.height} purchases since {EPOCH + timedelta(days=first)} are replayed, learned by {config.optimizer}")
    ranker = ranker.before(first)
    online, frozen, recent = ItemLearner(*ranker.items(), config), ItemLearner(*ranker.items()), Recent()
    rows = []
    for number, (user, item, time_) in enumerate(zip(events["user"], events["item"], events["time"], strict=True)):
        time_ = time_.replace(tzinfo=UTC)
        [code] = ranker.encode([item]).tolist()
        if code >= 0:
            state_D = ranker.user_state(user, fresh=recent.of(user), now=time_)
            hits = [float(code in model.rank(state_D, 10)) for model in (online, frozen)]
            losses = online.learn_one(state_D, code, None, offset=number + seed * len(events))
            if losses is not None:
                rows.append((user, *hits, losses.online, losses.frozen))
        recent.add(Kept(source="organic", kind="purchase", user=user, item=item, time=time_, received=time_))
    return pl.DataFrame(rows, schema=["user", "hit", "frozen_hit", "loss", "frozen_loss"], orient="row")


def later_purchases(store: Store, ranker: Ranker, name: str, most: int) -> tuple[pl.DataFrame, int]:
    """Purchases of the days that a version was evaluated on, in the order of their times, and the first of these days (days
    since 1970-01-01).

    Args:
        store: Where the run lies that made the version.
        ranker: The version.
        name: Of the recommender.
        most: So many, from the first on.

    Raises:
        NotFound: that run is gone.
        ArtifactCorrupt: what the version says of itself was altered.
    """
    folder = folder_of(store, name, ranker.version)
    if folder is None:
        raise NotFound(f"The run that made {ranker.version} of {name!r} is not in the store any more: run again.")
    events = pl.read_parquet(folder / "data" / "interactions.parquet", columns=["user", "item", "time", "kind"])
    first = _last_training_day(store, name, ranker.version) + 1
    day = pl.lit(EPOCH) + pl.duration(days=first)
    events = events.filter(pl.col("kind").is_in(POSITIVE_KINDS) & (pl.col("time").dt.date() >= day.cast(pl.Date)))
    return events.sort("time", maintain_order=True).head(most), first


def _last_training_day(store: Store, name: str, version: str) -> int:
    """As the version itself says: a run that has tables may be another one's."""
    manifest = store.get(f"{layout.version(name, version)}/{MANIFEST}")
    if version_id(manifest) != version:
        raise ArtifactCorrupt(f"The manifest of version {version} of {name!r} was altered: promote another version.")
    return int(json.loads(manifest)["lineage"]["last_training_day"])


def _compared(rows: pl.DataFrame, seed: int) -> dict[str, Any]:
    """Means over users of their means, and the paired bootstrap over users of the differences."""
    of_user = rows.group_by("user", maintain_order=True).mean()
    bootstrap = Bootstrap(of_user.height, seed=seed)
    found: dict[str, Any] = {"purchases": rows.height, "users": of_user.height}
    for metric, name in (("recall@10", "hit"), ("loss", "loss")):
        online_U, frozen_U = of_user[name].to_numpy(), of_user[f"frozen_{name}"].to_numpy()
        found[metric] = {
            "online": float(online_U.mean()),
            "frozen": float(frozen_U.mean()),
            "difference": float((online_U - frozen_U).mean()),
            "interval": bootstrap.interval(online_U - frozen_U),
        }
    return found
