"""A shop's training rows as the table that estimators take.

It is the one place where importance knows what a request and a candidate are; estimators see numbers and labels.

Legend: R rows (a request and a candidate), K columns.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from shoploop.features.contract import Contract
from shoploop.importance.estimators.table import Float32, Table
from shoploop.importance.shop_proxy import ProxyView
from shoploop.samples.sample_set import SampleSet

Columns = Literal["pairs", "proxy", "hidden"]
"""Pair features; the proxy's logits and log chance within the request; its hidden units."""

COLUMNS: tuple[Columns, ...] = ("pairs", "proxy")


def shop_columns(
    samples: SampleSet,
    view: ProxyView,
    contract: Contract,
    columns: Sequence[Columns] = COLUMNS,
    *,
    only: Sequence[str] | None = None,
) -> tuple[Float32, tuple[str, ...]]:
    """What estimators see of each row, (R, K), and the columns' names.

    Args:
        samples: Whose rows; their features in the order of the contract.
        view: The proxy's look at the same samples.
        contract: Names the pair features.
        columns: Which kinds of columns, in this order.
        only: Names of columns to keep; None keeps those that vary.
    """
    parts: list[Float32] = []
    names: list[str] = []
    for kind in columns:
        if kind == "pairs":
            parts.append(samples.features_RK)
            names += contract.pair_features
        elif kind == "proxy":
            parts.append(np.stack([view.dnn_R, view.transformer_R, view.chance_R], axis=1))
            names += ["proxy_dnn", "proxy_transformer", "proxy_log_chance"]
        else:
            parts.append(view.hidden_RH)
            names += [f"proxy_hidden_{h}" for h in range(view.hidden_RH.shape[1])]
    if only is None:
        kept = np.concatenate([_varying(part) for part in parts])
        if not kept.any():
            kept[:] = True  # the table says by name that all samples are equal
    else:
        kept = np.isin(names, list(only))
    out = np.empty((len(samples.items_R), int(kept.sum())), np.float32)
    at = start = 0
    for part in parts:
        for k in np.flatnonzero(kept[start : start + part.shape[1]]):
            out[:, at] = part[:, k]
            at += 1
        start += part.shape[1]
    return out, tuple(name for name, wanted in zip(names, kept, strict=True) if wanted)


def _varying(part_RK: Float32) -> npt.NDArray[np.bool_]:
    return np.array([len(column) > 0 and (column != column[0]).any() for column in part_RK.T], bool)


def shop_table(
    samples: SampleSet,
    view: ProxyView,
    contract: Contract,
    *,
    columns: Sequence[Columns] = COLUMNS,
    seed: int,
) -> Table:
    """The samples as estimators take them; the label is whether the candidate was bought.

    Raises:
        TooFewSamples, FeaturesNotFinite, OneClassOnly, SamplesEqual: as ``Table.of``.
    """
    x_RK, names = shop_columns(samples, view, contract, columns)
    return Table.of(x_RK, samples.labels_R, names=names, seed=seed)
