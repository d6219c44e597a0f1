"""From raw files to the canonical tables, with every decision about a row counted.

:func:`load_data` is the step; :func:`source_digest` tells cheaply whether its inputs changed; :func:`dataset_names`
lists what is known by name. This room knows files and columns, nothing of features or models.
"""

from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import DataSpec

__all__ = ["dataset_names", "load_data", "resolve_uris", "source_digest"]


def load_data(data: DataSpec, out: Path) -> dict[str, Any]:
    """Reads the named dataset or the given tables and writes them in canonical form.

    Args:
        data: ``dataset`` or ``tables``. Relative paths count from the working directory (see :func:`resolve_uris`).
        out: Folder to write: ``interactions.parquet`` (sorted by time, user, item), ``items.parquet``,
            ``users.parquet``, ``shops.parquet`` and ``load.json``, which is the returned report: rows, columns and
            sha256 per table, and each rule by which rows were kept, changed or dropped, with its count.

    Raises:
        SpecInvalid: the dataset, a column's canonical name or the time zone is not known.
        DataUnreadable: a file is missing, unreadable or of no known format.
        SchemaMismatch: a column is missing, misspelt or of another type.
        TableEmpty: a table, or a column that must be filled, holds nothing.
    """
    from shoploop.data import canonical, datasets, tables

    if data.dataset is not None:
        source = datasets.find(data.dataset)
        loaded = source.load()
    else:
        assert data.tables is not None
        loaded = tables.load(data.tables)
    return canonical.write(loaded, dataset=data.dataset, digest=source_digest(data), out=out)


def source_digest(data: DataSpec) -> str:
    """A sha256 over the inputs: names, sizes and bytes of local files, ETags of remote ones, settings, package version.

    Raises:
        SpecInvalid: the dataset is not known.
        DataUnreadable: a file is missing or unreadable.
    """
    from shoploop.data import datasets, sources

    if data.dataset is not None:
        source = datasets.find(data.dataset)
        return sources.digest([str(path) for path in source.files()], settings=f"{data.dataset} {source.version()}")
    assert data.tables is not None
    uris = [table.uri for _, table in data.tables if table is not None]
    return sources.digest(uris, settings=data.tables.model_dump_json())


def dataset_names() -> list[str]:
    """Every name that ``spec.data.dataset`` may hold."""
    from shoploop.data import datasets

    return sorted(datasets.KNOWN)


def resolve_uris(data: DataSpec, base: Path) -> DataSpec:
    """The same spec with relative paths made absolute, counted from ``base`` (the folder of the YAML file)."""
    from shoploop.data import sources

    if data.tables is None:
        return data
    absolute = {
        name: table.model_copy(update={"uri": sources.absolute(table.uri, base)})
        for name, table in data.tables
        if table is not None
    }
    return data.model_copy(update={"tables": data.tables.model_copy(update=absolute)})
