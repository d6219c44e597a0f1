"""The custom resources that users write, and what is derived from them.

``load`` reads a recommender.yaml, ``explain`` documents a field; both work without a cluster.
"""

from shoploop.api.explaining import explain
from shoploop.api.loading import load, parse

__all__ = ["explain", "load", "parse"]
