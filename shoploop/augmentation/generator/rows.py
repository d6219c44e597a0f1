"""Virtual behaviour as rows of the canonical interactions table, and what marks them as virtual."""

from hashlib import sha256

import numpy as np
import polars as pl
import pyarrow as pa

from shoploop.augmentation.generator.fitting import BehaviourGenerator
from shoploop.augmentation.generator.records import Behaviour, Floats, Vocabulary
from shoploop.schemas import INTERACTIONS

MARKS = pa.schema(
    [
        ("is_synthetic", pa.bool_()),
        ("generator", pa.string()),  # digest of what made the row
        ("seed", pa.int64()),
        ("score", pa.float32()),  # the discriminator's, of the row's record
    ]
)
SYNTHETIC = pa.schema([*INTERACTIONS.schema, *MARKS])
"""The interactions table with its marks; a reader of interactions ignores them, a writer of training data must not."""


def generator_digest(generator: BehaviourGenerator) -> str:
    """SHA-256 over every tensor and table that makes rows."""
    digest = sha256()
    for name, tensor in sorted(generator.adversary.averaged.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    decoder, encoding = generator.decoder, generator.encoding
    for array in (
        encoding.embeddings,
        encoding.mean,
        encoding.spread,
        encoding.quantiles,
        encoding.shares,
        decoder.groups,
        decoder.log_popularity,
        decoder.clump,
        decoder.cling,
        decoder.pull,
        decoder.tilt,
        *((generator.marginals.made, generator.marginals.real) if generator.marginals else ()),
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
    if generator.selection:
        digest.update(f"{generator.selection.model}\0{generator.selection.ceiling}".encode())
    digest.update("\0".join(generator.vocabulary.items).encode())
    return digest.hexdigest()


def write_rows(
    made: Behaviour,
    vocabulary: Vocabulary,
    prices: Floats,
    shops: tuple[list[str], Floats],
    *,
    digest: str,
    seed: int,
    score: Floats,
) -> pa.Table:
    """Rows of :data:`SYNTHETIC`, by user and time.

    A virtual shopper goes to one shop, drawn by the shops' shares; quantity is 1, price the item's median. Neither is
    learned: nothing in them can be anybody's.

    Args:
        prices: (V,) median money per row of each item; NaN where unknown.
        shops: Names and shares; empty where the data has none.
        score: (N,) of the records.
    """
    random = np.random.default_rng(seed)
    names, share = shops
    # a place in the names for each record; without names the only place is that of no name
    shop = random.choice(len(names), made.records, p=share / share.sum()) if names else np.zeros(made.records, np.int64)
    row_record = made.row_record
    users = [f"~virtual-{digest[:6]}-{seed}-{user:06d}" for user in made.user]
    frame = pl.DataFrame(
        {
            "user": pl.Series(users).gather(row_record),
            "item": pl.Series(vocabulary.items).gather(made.item),
            "time": pl.Series(made.day * 1440 + made.minute).gather(made.basket) * 60_000_000,
            "kind": pl.Series(vocabulary.kinds).gather(made.kind),
            "quantity": pl.Series(np.ones(len(made.item))),
            "price": pl.Series(prices[made.item].astype(np.float64)).fill_nan(None),
            "shop": pl.Series(names or [None], dtype=pl.String).gather(shop[row_record]),
            "basket": pl.Series([f"{users[r]}-{p}" for r, p in zip(made.record, made.position, strict=True)]).gather(
                made.basket
            ),
            "is_synthetic": True,
            "generator": digest,
            "seed": seed,
            "score": pl.Series(score.astype(np.float32)).gather(row_record),
        }
    ).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    return frame.select(SYNTHETIC.names).to_arrow().cast(SYNTHETIC)


def item_prices(interactions: pl.DataFrame, vocabulary: Vocabulary) -> Floats:
    """(V,) median money per piece."""
    median = (
        interactions.filter((pl.col("quantity") > 0) & (pl.col("price") > 0))
        .group_by("item")
        .agg(price=(pl.col("price") / pl.col("quantity")).median())
    )
    known = dict(median.iter_rows())
    return np.array([known.get(item, np.nan) for item in vocabulary.items], np.float32)


def shop_shares(interactions: pl.DataFrame, *, min_users: int) -> tuple[list[str], Floats]:
    """Shops that at least ``min_users`` users visited, and their shares of rows."""
    counted = (
        interactions.drop_nulls("shop")
        .group_by("shop")
        .agg(users=pl.col("user").n_unique(), rows=pl.len())
        .filter(pl.col("users") >= min_users)
        .sort("shop")
    )
    return counted["shop"].to_list(), counted["rows"].to_numpy().astype(np.float32)
