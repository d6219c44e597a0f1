"""Where a table's uri points: at a place of its own, or at one that is counted from somewhere; pure.

It must not look at any file: the operator asks it too.
"""

from pathlib import PurePosixPath

from shoploop.api.v1alpha1 import DataSpec

DATABASE_FILES = ("duckdb", "sqlite")
"""Schemes whose uri names a file of this machine: three slashes are relative, four absolute."""


def is_relative(uri: str) -> bool:
    """Whether ``uri`` is counted from a folder: on a laptop the YAML's, on a cluster the data's claim."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return not PurePosixPath(uri).is_absolute() and not uri.startswith("~/")
    return scheme in DATABASE_FILES and not rest.startswith("//")


def relative_uris(data: DataSpec) -> dict[str, str]:
    """The tables, the folders of items' pictures and of their encoder whose uri is relative: its path below ``spec``, and
    the uri."""
    if data.tables is None:
        return {}
    named = {f"data.tables.{name}.uri": table.uri for name, table in data.tables if table is not None}
    if data.tables.items is not None and (image := data.tables.items.image) is not None:
        named["data.tables.items.image.uri"] = image.uri
        if image.encoder is not None:
            named["data.tables.items.image.encoder"] = image.encoder
    return {field: uri for field, uri in named.items() if is_relative(uri)}
