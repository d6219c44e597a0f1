"""Weights as a Parquet file: one row a training row, and which samples they belong to.

It knows nothing of how the weights came about.

Legend: R rows (a request and a candidate).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from shoploop.errors import ArtifactCorrupt, ArtifactError, ArtifactForeign
from shoploop.samples.files import REQUESTS
from shoploop.store import disk

WEIGHTS = "importance.parquet"

SCHEMA = pa.schema(
    [
        ("request", pa.int32()),
        ("item", pa.string()),
        ("label", pa.bool_()),
        ("importance", pa.float32()),
        ("weight", pa.float32()),
    ]
)
"""``request`` and ``item`` as in the samples' candidates; ``importance`` on the method's own scale; ``weight`` is what the
row counts in the loss."""

_SAMPLES, _METHOD = b"shoploop.samples", b"shoploop.method"
_REMEDY = "Estimate the importance again."


class WeightsForeign(ArtifactError):
    """The weights were computed on other samples than those at hand."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A weights artifact that belongs to the samples at hand."""

    table: pa.Table
    """As ``SCHEMA``."""

    method: str


def samples_digest(folder: Path) -> str:
    """sha256 of the requests and candidates of a samples folder: whatever changes there, weights belong to it no more."""
    digest = hashlib.sha256()
    for name in ("requests.parquet", "candidates.parquet"):
        digest.update(bytes.fromhex(disk.digest_of(folder / name)))
    return digest.hexdigest()


def write_weights(path: Path, table: pa.Table, *, method: str, samples: str) -> None:
    """Writes the artifact.

    Args:
        path: Where to.
        table: As ``SCHEMA``.
        method: How the weights were made.
        samples: Digest of the samples they belong to.
    """
    schema = SCHEMA.with_metadata({_SAMPLES: samples.encode(), _METHOD: method.encode()})
    pq.write_table(table.cast(SCHEMA).cast(schema), path, compression="zstd", use_dictionary=["item"])


def read_weights(path: Path, samples: Path) -> Weights:
    """The weights of ``path``, which must belong to the samples folder ``samples``.

    Raises:
        ArtifactForeign: it is no weights artifact.
        WeightsForeign: they were computed on other samples.
        ArtifactCorrupt: a weight is negative or not finite.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactCorrupt(f"The weights {path} cannot be read ({error}). {_REMEDY}") from error
    metadata = table.schema.metadata or {}
    if _SAMPLES not in metadata or not table.schema.remove_metadata().equals(SCHEMA):
        raise ArtifactForeign(
            f"{path} is no weights artifact: it needs the columns {', '.join(SCHEMA.names)} and the digest of its "
            f"samples. {_REMEDY}"
        )
    if (at_hand := samples_digest(samples)) != (made_for := metadata[_SAMPLES].decode()):
        raise WeightsForeign(
            f"The weights {path} belong to samples {made_for[:12]}; those in {samples} are {at_hand[:12]}. A weight says "
            f"nothing about another sample. {_REMEDY}"
        )
    weight = table["weight"].to_numpy()
    if table["weight"].null_count or not np.isfinite(weight).all() or (weight < 0).any():
        raise ArtifactCorrupt(f"{path}: a sample weight is missing, negative or not finite. {_REMEDY}")
    return Weights(table=table.replace_schema_metadata(None), method=metadata.get(_METHOD, b"").decode())


def event_weights(path: Path, samples: Path) -> pa.Table:
    """The weights for who learns from events, one at a time, and knows no requests: the online learner's way in.

    Args:
        path: The artifact.
        samples: The samples folder it belongs to.

    Returns:
        ``user``, ``day`` (since 1970-01-01, UTC), ``item``, ``label`` and ``weight``, one row a training row, by days.

    Raises:
        ArtifactForeign, WeightsForeign, ArtifactCorrupt: as :func:`read_weights`.
    """
    weights = pl.from_arrow(read_weights(path, samples).table)
    assert isinstance(weights, pl.DataFrame)
    requests = pl.read_parquet(samples / REQUESTS, columns=["request", "user", "day"])
    joined = weights.join(requests, on="request", how="left", maintain_order="left")
    return joined.select("user", "day", "item", "label", "weight").sort("day", maintain_order=True).to_arrow()
