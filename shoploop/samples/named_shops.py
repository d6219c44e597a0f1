"""Requests to learn from that name the shop that the shopper is in.

Where requests may name one and need not, a model must answer both. Half of them are learned from with the shop where they
bought then, half without, so that it is known what to say where nothing is (dropout of what may be missing: Volkovs, Yu,
Poutanen 2017, "DropoutNet").
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shoploop.features.log import PurchaseLog
from shoploop.samples.sample_set import Request

NAMED = 0.5
"""Share of the requests to learn from that name their shop."""


def with_shops(requests: Sequence[Request], log: PurchaseLog, *, seed: int, share: float = NAMED) -> list[Request]:
    """The requests, of which a share names the shop where most of their purchases were made; of equal ones the first.

    Args:
        requests: Of the log.
        log: Gives the shops.
        seed: Of the draw, which looks at nobody but the request itself.
        share: 1 has all name theirs.
    """
    found = []
    for request in requests:
        rng = np.random.default_rng([seed, request.user, request.day, request.seen, len("shop")])
        named = rng.random() < share
        found.append(replace(request, shop=_shop_of(request, log)) if named else request)
    return found


def _shop_of(request: Request, log: PurchaseLog) -> int:
    """-1 where no purchase names one."""
    rows = slice(int(log.offsets_U1[request.user]), int(log.offsets_U1[request.user + 1]))
    asked = (log.day_R[rows] == request.day) & (log.moment_R[rows] >= request.seen)
    shops = log.shop_R[rows][asked]
    shops = shops[shops >= 0]
    return int(np.bincount(shops).argmax()) if len(shops) else -1
