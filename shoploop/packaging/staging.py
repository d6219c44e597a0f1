"""Lays out what goes into a Bento: the service and the code that it reaches, and all that a ranker is loaded from.

It must not know how BentoML builds.
"""

import importlib.metadata
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from shoploop.code_digest import reachable
from shoploop.errors import SpecInvalid
from shoploop.ranking.settings import RankerSettings
from shoploop.schemas import ENDS, WORDS
from shoploop.shells import shells_folder
from shoploop.versions.artifact import version_files

if TYPE_CHECKING:
    import polars as pl

NAME = "shoploop-recommender"
RANKER = "ranker"
"""Folder inside the Bento's sources that :class:`shoploop.ranking.ranker.Ranker` is loaded from."""

ONLINE_FILES = ("contract.json", "features.json", "vocabulary.parquet", "shop_stats.parquet", "feast")
"""The part of a features folder that :class:`shoploop.features.online.OnlineFeatures` reads, but for the items' statistics:
of those it needs one day."""

WARM_UP_USERS = 16


def stage_code(context: Path) -> None:
    """The service, and those modules of the library that it can reach."""
    shell, package = shells_folder() / "serving", Path(__file__).parents[1]
    for path in reachable(shell=shell.name).values():
        inside = path.relative_to(shell.parent) if path.is_relative_to(shell) else path.relative_to(package.parent)
        target = context / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def stage_ranker(folder: Path, *, data: Path, features: Path, model: Path, settings: RankerSettings) -> None:
    """All that :class:`shoploop.ranking.ranker.Ranker` is loaded from.

    Raises:
        SpecInvalid: an item field is no column of the items table.
    """
    import polars as pl

    from shoploop.features.ends import read_interactions
    from shoploop.features.in_shop import stage_in_shop
    from shoploop.features.offers import stage_offers
    from shoploop.features.online import rows_of_the_day
    from shoploop.ranking.popularity import write_popularity
    from shoploop.ranking.visits import write_visits

    folder.mkdir(parents=True)
    (folder / "model").mkdir()
    for name in version_files(model):
        shutil.copyfile(model / name, folder / "model" / name)
    for name in ONLINE_FILES:
        source, target = features / name, folder / "features" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
    rows_of_the_day(features, "item_stats").write_parquet(
        folder / "features" / "item_stats.parquet", compression="zstd"
    )
    stage_offers(features, folder / "features")
    stage_in_shop(folder / "features", data=data, features=features)
    items = pl.read_parquet(data / "items.parquet")
    if missing := set(settings.item_fields) - set(items.columns):
        raise SpecInvalid(
            f"spec.serving.itemFields names {', '.join(sorted(missing))}, which the items table lacks. "
            f"It has {', '.join(items.columns)}."
        )
    fields = sorted({"title", "category", *settings.item_fields} - {"item"})  # reasons name titles, rules categories
    fields += [own for own in (ENDS, WORDS) if own in items.columns]
    items.select("item", *fields).write_parquet(folder / "items.parquet", compression="zstd")
    interactions, _ = read_interactions(data)
    write_popularity(interactions, folder)
    shops = data / "shops.parquet"
    write_visits(interactions, folder, shops=pl.read_parquet(shops) if shops.is_file() else None)
    replace(settings, warm_up_users=_warm_up_users(interactions)).write(folder)


def _warm_up_users(interactions: "pl.DataFrame") -> tuple[str, ...]:
    """Users of long and of short histories, evenly spread."""
    users = interactions.group_by("user").len().sort(["len", "user"], descending=[True, False])["user"]
    step = max(len(users) // WARM_UP_USERS, 1)
    return tuple(users.gather_every(step).head(WARM_UP_USERS))


def stage_description(context: Path) -> None:
    """BentoML's build file. YAML is a superset of JSON."""
    description = {
        "service": "serving.service:Recommender",
        "name": NAME,
        "include": ["serving/", "shoploop/", f"{RANKER}/"],
        "python": {"packages": _pinned_requirements(), "lock_packages": False},
    }
    (context / "bentofile.yaml").write_text(json.dumps(description, indent=1))


def _pinned_requirements() -> list[str]:
    """What the serving extra needs, at the versions that are installed here."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    pinned = set()
    for line in importlib.metadata.requires("shoploop") or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": "serving"}):
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            version = Version(importlib.metadata.version(requirement.name)).public  # torch's +cpu is no release
            pinned.add(f"{requirement.name}{extras}=={version}")
    return sorted(pinned)
