"""A real Postgres, of Debian's package, for the tests of tables in a database."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_ports

PACKAGED = Path("/usr/lib/postgresql")
"""Debian keeps the programs of each version here, and not on the path."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The connection string of an empty database."""
    pytest.importorskip("adbc_driver_postgresql", reason="no driver of Postgres: pip install 'shoploop[postgres]'")
    here = shutil.which("initdb")
    programs = Path(here).parent if here else next((path.parent for path in PACKAGED.glob("*/bin/initdb")), None)
    if programs is None:
        pytest.skip("no Postgres to test against: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="shoploop-postgres-"))  # not below pytest's, which is closed to other users
    user = []
    if os.geteuid() == 0:  # as whom it does not run
        user = ["runuser", "-u", "postgres", "--"]
        try:
            shutil.chown(folder, "postgres")
        except LookupError:
            pytest.skip("no user postgres, whom a Postgres runs as: apt-get install postgresql")
    (port,) = free_ports(1)
    data, log = str(folder / "data"), str(folder / "log")

    def call(program: str, *arguments: str) -> None:
        command = [*user, str(programs / program), "-D", data, *arguments]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 0, f"{program}: {done.stderr}"

    try:
        call("initdb", "--auth=trust", "--username=shop", "--no-sync", "--encoding=UTF8", "--locale=C")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        try:
            call("pg_ctl", "start", "-w", "-l", log, "-o", settings)
            yield f"postgresql://shop@127.0.0.1:{port}/postgres"
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                call("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
