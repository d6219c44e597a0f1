"""Runs inside the cluster: copies a version with its Bento into an S3, and beside it one of the same weights by another id.

    python twin.py VERSION ENDPOINT KEY STORE

The version lies in /store. Prints the id of the other one.
"""

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

version, endpoint, key, uri = sys.argv[1:]
os.environ |= {
    "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key, "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}  # fmt: skip

from shoploop.packaging.archive import pack, unpack  # noqa: E402
from shoploop.packaging.bento import REPORT, publish_bento  # noqa: E402
from shoploop.packaging.fetch import ranker_folder  # noqa: E402
from shoploop.ranking.settings import RankerSettings  # noqa: E402
from shoploop.store import Store, disk, layout  # noqa: E402
from shoploop.versions.artifact import load_version, write_version  # noqa: E402
from shoploop.versions.promotions import publish_version  # noqa: E402

NAME = "grocery"
target, own = Store(uri), Path("/store") / layout.version(NAME, version)
for path in sorted(own.rglob("*")):
    if path.is_file():
        target.put_file(f"{layout.version(NAME, version)}/{path.relative_to(own).as_posix()}", path)

with tempfile.TemporaryDirectory() as work:
    bento, out = Path(work, "bento"), Path(work, "out")
    out.mkdir()
    report = json.loads((own / "bento" / REPORT).read_text())
    unpack(own / "bento" / report["archive"], bento, sha256=report["sha256"])
    ranker = ranker_folder(bento)
    first = load_version(ranker / "model")
    second = write_version(
        Path(work, "model"), tensors=first.tensors, config=first.config, contract=first.contract, items=first.items,
        lineage=first.lineage | {"parent": first.id}, metrics=first.manifest["metrics"], extra_files=first.extra_files,
    )  # fmt: skip
    for file in (ranker / "model").iterdir():
        file.unlink()
    for file in Path(work, "model").iterdir():
        (ranker / "model" / file.name).write_bytes(file.read_bytes())
    replace(RankerSettings.read(ranker), version=second.id).write(ranker)
    archive = out / f"{second.id}.bento"
    pack(bento, archive)
    report |= {"version": second.id, "archive": archive.name, "sha256": disk.digest_of(archive)}
    (out / REPORT).write_text(json.dumps(report))
    publish_version(target, NAME, Path(work, "model"))
    publish_bento(target, NAME, second.id, out)
    print(second.id)
