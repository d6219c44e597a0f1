"""Generators that were learned before, found again by all that made them: a killed step goes on, a done one is reused."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import polars as pl

from shoploop.augmentation.generator.dp_sgd import Budget
from shoploop.augmentation.generator.fitting import BehaviourGenerator
from shoploop.augmentation.generator.keyed import keyed_digest
from shoploop.code_digest import code_digest

KEPT = 4
"""Generators that stay in a cache, the last used ones."""


def kept_generator(
    folder: Path,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    *,
    config: BehaviourGenerator.Config,
    most_shoppers: int | None,
    seed: int,
    budget: Budget | None = None,
    key: bytes | None = None,
) -> Path:
    """The checkpoint in ``folder`` of a generator that learns from exactly this; what is long unused is removed.

    Args:
        key: Where there is a budget, that by which noise is drawn: statistics measured under another key are another
            release, and not those that a kept generator learned on. The name tells a digest of it and not the key.
    """
    if budget is not None and key is None:
        raise ValueError("a generator with a budget is kept by the key of its noise")
    digest = sha256(code_digest("shoploop.augmentation.study").encode())
    for frame in (interactions, items):
        digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    digest.update(json.dumps([asdict(config), most_shoppers, seed, asdict(budget) if budget else None]).encode())
    if budget is not None and key is not None:
        digest.update(keyed_digest(key, b"kept"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest.hexdigest()[:32]}.safetensors"
    if path.exists():
        path.touch()
    others = sorted((p for p in folder.glob("*.safetensors") if p != path), key=lambda p: p.stat().st_mtime)
    for old in others[: -(KEPT - 1)]:
        old.unlink(missing_ok=True)
    return path
