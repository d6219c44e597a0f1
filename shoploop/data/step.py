"""The step of a run: reads the raw tables and writes the canonical ones."""

from pathlib import Path
from typing import Any

from shoploop import progress
from shoploop.api.v1alpha1 import DataSpec
from shoploop.data import canonical, tables
from shoploop.data.collected import add_collected, add_searches, collected_through, write_shown
from shoploop.data.inputs import dataset_of, image_of, source_digest
from shoploop.data.picture_files import ENCODER, PictureFolder, encoder_bytes
from shoploop.data.rules import Loaded


def load_data(*, out: Path, data_spec: DataSpec, collected: Path | None = None) -> dict[str, Any]:
    """Reads the named dataset or the given tables and writes them in canonical form.

    Args:
        out: Folder to write: ``interactions.parquet`` (sorted by time, user, item and the rest), ``items.parquet``,
            ``users.parquet``, ``shops.parquet``, where there are searches ``searches.parquet``, where there are offers
            ``offers.parquet``, where answers were explored ``shown.parquet``, where pictures are asked for
            ``pictures.parquet`` and the given ``encoder/``, and ``load.json``, which is the returned report: rows, columns
            and sha256 per table, and each rule by which rows were kept, changed or dropped, with its count.
        data_spec: ``dataset`` or ``tables``. Relative paths count from the working directory (see
            :func:`shoploop.data.inputs.resolve_uris`).
        collected: Folder of interactions that came from the event log, which are added.

    Raises:
        SpecInvalid: the dataset, a column's canonical name or the time zone is not known.
        DataUnreadable: a file is missing, unreadable or of no known format.
        SchemaMismatch: a column is missing, misspelt or of another type.
        TableEmpty: a table, or a column that must be filled, holds nothing.
    """
    progress.Parts(*canonical.LOADING).begin(canonical.READING)
    loaded = read_raw(data_spec)
    if collected is not None:
        zone = data_spec.tables.interactions.time_zone if data_spec.tables is not None else "UTC"
        add_collected(loaded, collected, zone=zone)
        add_searches(loaded, collected)
    image = image_of(data_spec)
    report = canonical.write(
        loaded,
        dataset=data_spec.dataset,
        digest=source_digest(data_spec),
        collected=collected_through(collected),
        out=out,
        pictures=PictureFolder(image.uri) if image is not None else None,
    )
    if image is not None and image.encoder is not None:
        (out / ENCODER).mkdir(exist_ok=True)
        for name, content in encoder_bytes(Path(image.encoder)).items():
            (out / ENCODER / name).write_bytes(content)
    if collected is not None:
        write_shown(collected, out)
    return report


def read_raw(data_spec: DataSpec) -> Loaded:
    """The raw tables with canonical columns and types, before they are completed.

    Raises:
        SpecInvalid, DataUnreadable, SchemaMismatch, TableEmpty: as :func:`load_data`.
    """
    if data_spec.dataset is not None:
        return dataset_of(data_spec).load(offers=data_spec.offers)
    assert data_spec.tables is not None
    return tables.load(data_spec.tables)
