"""The sample folder that training reads: the real samples as they are, and after them the virtual ones that may enter.

Virtual samples are written with the split ``train`` and no other, in a folder that evaluation never opens: that is how
they cannot reach validation or test.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shoploop.augmentation.trials.episodes import Labelled
from shoploop.augmentation.trials.splitting import Trials
from shoploop.candidates.fetching import CandidateConfig
from shoploop.samples.files import CANDIDATES, HISTORIES, REQUESTS, SampleWriter
from shoploop.samples.sample_set import VIRTUAL_USER_CODES
from shoploop.samples.step import TRAINING_NEGATIVES
from shoploop.store import disk

SPLIT = "train"
_PIECES = (REQUESTS, CANDIDATES, HISTORIES)


def add_samples(samples: Path, out: Path, rows: Labelled, trials: Trials, *, first_hidden: int) -> int:
    """Writes ``out`` as ``samples`` with one more piece of ``train``, made of virtual rows.

    Args:
        trials: With the run's own catalog, and all that it counts.
        first_hidden: First day of evaluation.

    Returns:
        How many samples were added.

    Raises:
        ValueError: a row is of a day of evaluation.
    """
    latest = rows.rows["day"].max()
    if isinstance(latest, int) and latest >= first_hidden:
        raise ValueError(f"a virtual row is of day {latest}; evaluation begins on day {first_hidden}")
    config = CandidateConfig(**json.loads((samples / "samples.json").read_text())["candidates"])
    extra = trials.samples(rows, candidates=config, negatives=TRAINING_NEGATIVES)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".virtual-") as folder:
        virtual = Path(folder)
        past = replace(trials.past, users=tuple(sorted(rows.rows["user"].unique())))
        with SampleWriter(virtual, trials.contract, past) as writer:
            writer.write(extra, SPLIT)
        first = int(pc.max(pq.read_table(samples / REQUESTS, columns=["request"])["request"]).as_py()) + 1
        for name in _PIECES:
            _append(samples / name, virtual / name, out / name, first)
    for path in sorted(samples.iterdir()):
        if path.is_dir():
            disk.link_tree(path, out / path.name)
        elif path.name not in _PIECES:
            disk.link_file(path, out / path.name)
    return len(extra)


def _append(real: Path, made: Path, target: Path, first: int) -> None:
    """The row groups of ``real``, then those of ``made`` with requests and users numbered on."""
    with pq.ParquetFile(real) as source, pq.ParquetFile(made) as more, disk.whole_path(target) as aside:
        schema = source.schema_arrow
        with pq.ParquetWriter(aside, schema, compression="lz4") as writer:
            for group in range(source.num_row_groups):
                table = source.read_row_group(group)
                writer.write_table(table, row_group_size=max(len(table), 1))
            for group in range(more.num_row_groups):
                table = more.read_row_group(group)
                for column, by in (("request", first), ("user_code", VIRTUAL_USER_CODES)):
                    if column in table.column_names:
                        numbers = pc.cast(pc.add(table[column], by), schema.field(column).type)
                        table = table.set_column(table.column_names.index(column), schema.field(column), numbers)
                for place, field in enumerate(schema):
                    if field.name not in table.column_names:  # nobody has rated what nobody bought
                        table = table.add_column(place, field, pa.nulls(len(table), field.type))
                writer.write_table(table.cast(schema), row_group_size=max(len(table), 1))
