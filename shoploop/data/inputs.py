"""What ``spec.data`` names, as far as it can be told without reading a table: where it lies, and its digest."""

import hashlib
from pathlib import Path

from shoploop.api.v1alpha1 import DataSpec, ImageSource
from shoploop.data import datasets, sources
from shoploop.data.datasets import Dataset
from shoploop.errors import DataUnreadable, without_passwords


def source_digest(data_spec: DataSpec) -> str:
    """A sha256 over the inputs: names, sizes and bytes of local files, ETags of remote ones, settings, package version.

    Raises:
        SpecInvalid: the dataset is not known.
        NotFound: the encoder of pictures lacks a file.
        DataUnreadable: a file is missing or unreadable.
    """
    if data_spec.dataset is not None:
        source = dataset_of(data_spec)
        settings = f"{data_spec.dataset} {source.version()}"
        return sources.digest_of_files(source.files(offers=data_spec.offers), settings=settings)
    assert data_spec.tables is not None
    given = {name: table for name, table in data_spec.tables if table is not None}
    settings = data_spec.tables.model_dump_json()
    if image := image_of(data_spec):
        settings += _digest_of_image(image)
    return sources.digest(given, settings=settings)


def dataset_of(data_spec: DataSpec) -> Dataset:
    """The dataset that is named.

    Raises:
        SpecInvalid: it is not known, or has no offers and they are asked for.
    """
    assert data_spec.dataset is not None
    return (datasets.find_with_offers if data_spec.offers else datasets.find)(data_spec.dataset)


def _digest_of_image(image: ImageSource) -> str:
    """Of a folder of pictures and of what describes them: no tables, so that every file counts, whatever its name."""
    from shoploop.data import picture_files  # numpy and Pillow, which a digest of tables does without

    found = [picture_files.digest_below(image.uri)]
    if image.encoder is not None:
        folder = Path(image.encoder)
        if not folder.exists():
            raise DataUnreadable(f"{folder} does not exist. Check image.encoder of the table of items.")
        for name, content in picture_files.encoder_bytes(folder).items():
            found.append(f"{name} {hashlib.sha256(content).hexdigest()}")
    return "".join(f"\n{line}" for line in found)


def resolve_uris(data_spec: DataSpec, base: Path) -> DataSpec:
    """The same spec with relative paths made absolute, counted from ``base`` (the folder of the YAML file)."""
    if data_spec.tables is None:
        return data_spec
    absolute = {
        name: table.model_copy(update={"uri": sources.absolute(table.uri, base)})
        for name, table in data_spec.tables
        if table is not None
    }
    if image := image_of(data_spec):
        encoder = None if image.encoder is None else sources.absolute(image.encoder, base)
        image = image.model_copy(update={"uri": sources.absolute(image.uri, base), "encoder": encoder})
        absolute["items"] = absolute["items"].model_copy(update={"image": image})
    return data_spec.model_copy(update={"tables": data_spec.tables.model_copy(update=absolute)})


def image_of(data_spec: DataSpec) -> ImageSource | None:
    """Where the pictures of items lie; None where nobody asks for them."""
    items = data_spec.tables.items if data_spec.tables is not None else None
    return items.image if items is not None else None


def check_columns(data_spec: DataSpec) -> list[str]:
    """Holds the spec against the columns of the tables on this machine, without loading them.

    Returns:
        A sentence for each table that was not looked at, since it lies elsewhere.

    Raises:
        SpecInvalid, DataUnreadable, SchemaMismatch, TableEmpty: as :func:`shoploop.data.step.load_data`.
    """
    from shoploop.data import tables  # reads files, which a digest does not

    if data_spec.tables is None:
        dataset_of(data_spec)
        return []
    unseen = []
    for name, source in data_spec.tables:
        if source is None:
            continue
        if sources.is_here(source.uri):
            tables.check(name, data_spec.tables)
        else:
            uri = without_passwords(source.uri)
            unseen.append(f"spec.data.tables.{name}: {uri} is not on this machine; its columns were not looked at.")
    return unseen
