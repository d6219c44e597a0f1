"""A model as small as one may be, for tests of what is done with a trained model and not of how well it knows a shop."""

from typing import Any

from shoploop.models.sequence import SequenceModel

NARROW = {"width": 16, "heads": 2, "layers": 1}
"""Its Transformer: of the default one, to which most of a training's time goes, a fourth of the width and one layer."""


def narrow(patch: Any) -> None:
    """Models that are built from then on have it, with all else as it is."""
    for name, size in NARROW.items():
        patch.setitem(SequenceModel.Config.__init__.__kwdefaults__, name, size)


def is_narrow() -> bool:
    """Whether that is so now: what tests of other modules share must not be made meanwhile."""
    defaults = SequenceModel.Config.__init__.__kwdefaults__
    return all(defaults[name] == size for name, size in NARROW.items())
