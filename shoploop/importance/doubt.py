"""How many of the labels are wrong, judged by samples whose label should never be.

The chance of a label falls to the share of wrong ones where the features speak most clearly against it (Liu and Tao 2016,
section 4: the noise rate of a label is the least of its chance over the features). On labels that can be trusted the share
is near 0, and then no sample deserves another weight than the next.

Legend: R samples.
"""

import numpy as np
import numpy.typing as npt

from shoploop.importance.estimators.table import Float64

CLEAREST = 0.1
"""Share of the samples that count as speaking most clearly against the label."""


def wrong_share(importance_R: Float64, marked_R: npt.NDArray[np.bool_]) -> float:
    """Share of the samples marked with a label that are likely wrong, 0 to 1.

    Args:
        importance_R: 0 to 1, comparable between the two labels: high for a credible one.
        marked_R: Who carries the label in question, and not the other.
    """
    if not marked_R.any():
        return 0.0
    credible_R = np.where(marked_R, importance_R, 1 - importance_R)
    clearest = np.argsort(credible_R, kind="stable")[: max(round(CLEAREST * len(marked_R)), 1)]
    return float(min(marked_R[clearest].mean() / marked_R.mean(), 1.0))
