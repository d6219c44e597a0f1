"""shoploop: the learning loop of a shop, from raw events to a served recommender that keeps learning."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("shoploop")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
