"""Compressed files are read as what they hold, whatever they are called, and one that is damaged is named."""

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pytest

from shoploop.errors import DataUnreadable

TWO = "user,item,time\nann,tea,2024-05-01\nbob,milk,2024-05-02\n"
LINES = b'{"user":"ann","item":"tea","time":"2024-05-01"}\n{"user":"bob","item":"milk","time":"2024-05-02"}'
PAIRS = [("ann", "tea"), ("bob", "milk")]


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # a test's name must not change from one second to the next


def zipped(**files: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # with no date of its own
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        gzipped(TWO.encode()),
        gzipped(TWO[:30].encode()) + gzipped(TWO[30:].encode()),
        gzipped(LINES),
        bz2.compress(TWO.encode()),
        lzma.compress(TWO.encode()),
        pa.compress(TWO.encode(), codec="zstd", asbytes=True),
        zipped(**{"events.csv": TWO, "__MACOSX/._events.csv": "\1\2"}),
    ],
    ids=["gzip", "two members of gzip", "JSON Lines in gzip", "bzip2", "xz", "zstd", "zip of macOS"],
)
@pytest.mark.parametrize("name", ["events.csv", "u.data", "events", "export.PARQUET", "events.csv.gz", "events.zip"])
def test_the_compression_is_seen_by_the_content_whatever_the_ending(tables, content, name):
    assert tables.events(tables.bytes(name, content)).select("user", "item").rows() == PAIRS


def test_compressed_files_of_a_folder_are_read_beside_others(tables):
    tables.bytes("lake/part-0.csv", TWO.encode())
    tables.bytes("lake/2024/part-1.csv.gz", gzipped(TWO.replace("ann", "cat").encode()))
    assert sorted(tables.events(tables.folder / "lake")["user"]) == ["ann", "bob", "bob", "cat"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(**{"[Content_Types].xml": "x", "xl/a.xml": "x"}), "Excel workbook"),
        (b"PK\x03\x04junk", "cannot be unpacked"),
        (zipped(**{"e.csv": TWO})[:30] + zipped(**{"e.csv": TWO})[35:], "cannot be unpacked"),
        (b"\x28\xb5\x2f\xfdjunk", "damaged or cut off"),
    ],
    ids=["a workbook", "no zip", "a damaged zip", "no zstd"],
)
def test_what_cannot_be_unpacked_is_named_with_what_to_do(tables, content, said):
    with pytest.raises(DataUnreadable, match=said):
        tables.events(tables.bytes("events.csv", content))
