"""The custom resources that users write, and what is derived from them.

``load`` reads a recommender.yaml, ``explain`` documents a field; both work without a cluster.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoploop.api.explaining import explain
    from shoploop.api.loading import load, parse

__all__ = ["explain", "load", "parse"]


def __getattr__(name: str) -> Any:
    # who only needs a section of the spec, as every step does, reaches no YAML and no CRD
    if name == "explain":
        from shoploop.api.explaining import explain

        return explain
    if name in ("load", "parse"):
        from shoploop.api import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
