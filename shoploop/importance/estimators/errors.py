"""What can be wrong with samples that are to be weighed.

Each is a ValueError too, as scikit-learn's users expect of a bad table.
"""

from shoploop.errors import UserError


class SamplesEqual(UserError, ValueError):
    """All samples have the same features: none can be told from another."""


class OneClassOnly(UserError, ValueError):
    """Only one label occurs: no label can be doubted."""


class FeaturesNotFinite(UserError, ValueError):
    """A feature is NaN or infinite."""


class ColumnsUnclear(UserError, ValueError):
    """A table has no column, or two of one name."""


class ColumnsDiffer(UserError, ValueError):
    """New rows lack columns that the weights were learned with, or hold something else in them."""


class LabelUnknown(UserError, ValueError):
    """New rows carry a label that the weights were not learned with."""


class LabelsMissing(UserError, ValueError):
    """Rows carry no label."""


class MethodUnknown(UserError, ValueError):
    """There is no estimator of this name."""


class NewRowsUnknown(UserError, ValueError):
    """The method can say nothing of rows that it did not learn from."""


class WeightsAllZero(UserError, ValueError):
    """Nothing is left to learn from after clipping."""


class TooManyPrototypes(UserError, ValueError):
    """More prototypes are asked for than there are samples to draw them from."""


class TooFewSamples(UserError, ValueError):
    """Not enough samples to hold some out."""
