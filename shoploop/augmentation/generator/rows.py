"""Virtual behaviour as rows of the canonical interactions table, and what marks them as virtual."""

from hashlib import sha256

import numpy as np
import polars as pl
import pyarrow as pa

from shoploop.augmentation.generator.fitting import BehaviourGenerator
from shoploop.augmentation.generator.habits import Habits
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
        encoding.by_size,
        decoder.groups,
        decoder.log_popularity,
        decoder.clump,
        decoder.cling,
        decoder.pull,
        decoder.tilt,
        decoder.fit,
        decoder.together,
        decoder.weekdays,
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
    habits: Habits,
    *,
    digest: str,
    seed: int,
    score: Floats,
) -> pa.Table:
    """Rows of :data:`SYNTHETIC`, by user and time.

    Args:
        habits: What quantity, price and shop are drawn from.
        score: (N,) of the records.
    """
    said = habits.draw(made, vocabulary, np.random.default_rng(seed))
    row_record = made.row_record
    users = [f"~virtual-{digest[:6]}-{seed}-{user:06d}" for user in made.user]
    frame = pl.DataFrame(
        {
            "user": pl.Series(users).gather(row_record),
            "item": pl.Series(vocabulary.items).gather(made.item),
            "time": pl.Series(made.day * 1440 + made.minute).gather(made.basket) * 60_000_000,
            "kind": pl.Series(vocabulary.kinds).gather(made.kind),
            "quantity": said["quantity"],
            "price": said["price"],
            "shop": said["shop"],
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
