"""From raw files to the canonical tables, with every decision about a row counted.

:func:`load_data` is the step; :func:`source_digest` tells cheaply whether its inputs changed. This room knows files and
columns, nothing of features or models.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoploop.data.inputs import resolve_uris, source_digest
    from shoploop.data.step import load_data

__all__ = ["load_data", "resolve_uris", "source_digest"]


def __getattr__(name: str) -> Any:
    # polars is loaded by those who ask for data, not by those who only split days
    if name == "load_data":
        from shoploop.data.step import load_data

        return load_data
    if name in ("resolve_uris", "source_digest"):
        from shoploop.data import inputs

        return getattr(inputs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
