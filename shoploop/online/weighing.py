"""How much an event counts, where somebody estimated that: weights of training rows, looked up by who, when and what."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from shoploop.online.joiner import Example
from shoploop.samples.weights import event_weights

EPOCH = date(1970, 1, 1).toordinal()

Weigh = Callable[[Example], float]


def alike(example: Example) -> float:
    """Each event counts once."""
    return 1.0


def weights_of(path: Path, samples: Path) -> Weigh:
    """What was wanted counts as much as the training row of the same user, day (UTC) and item; 1 where there is none.

    Args:
        path: A weights artifact.
        samples: The samples folder it belongs to.

    Raises:
        ArtifactForeign, WeightsForeign, ArtifactCorrupt: the weights must not be used.
    """
    rows = event_weights(path, samples).to_pydict()
    columns = (rows[name] for name in ("user", "day", "item", "label", "weight"))
    known = {(user, day, item): weight for user, day, item, label, weight in zip(*columns, strict=True) if label}
    return lambda example: known.get((example.user, example.time.toordinal() - EPOCH, example.chosen), 1.0)
