"""Renders the charts with the real helm: kubebox's where SHOPLOOP_KUBEBOX names it, else the one on the PATH."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"


def find_helm() -> str | None:
    path = os.environ["PATH"]
    if kubebox := os.environ.get("SHOPLOOP_KUBEBOX"):
        lines = subprocess.run([kubebox, "env"], capture_output=True, text=True, check=True).stdout
        folders = [line.split("=", 1)[1].split(":")[0] for line in lines.splitlines() if "PATH=" in line]
        path = os.pathsep.join([*folders, path])
    return shutil.which("helm", path=path)


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    program = find_helm()
    if program is None:
        pytest.skip("no helm: put Helm 3.18 or later on the PATH, or name kubebox in SHOPLOOP_KUBEBOX and run it once")

    def call(*args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *map(str, args)], capture_output=True, text=True)

    return call


@pytest.fixture
def render(helm, tmp_path) -> Callable[..., list[dict[str, Any]]]:
    """Renders a chart with values on top of one of its scenarios; the objects, or an error with helm's own words."""

    def call(chart: str, values: dict | None = None, *, scenario: str | None = None, release: str = "loop") -> list:
        args: list[object] = ["template", release, CHARTS / chart, "--namespace", "shop"]
        if scenario:
            args += ["-f", CHARTS / chart / "ci" / f"{scenario}-values.yaml"]
        if values:
            file = tmp_path / "values.yaml"
            file.write_text(yaml.safe_dump(values))
            args += ["-f", file]
        done = helm(*args)
        if done.returncode:
            raise RenderingRefused(done.stderr)
        return [found for found in yaml.safe_load_all(done.stdout) if found]

    return call


class RenderingRefused(Exception):
    pass


def scenarios() -> Iterator[tuple[str, str]]:
    for chart in ("recommender", "shoploop"):
        for file in sorted((CHARTS / chart / "ci").glob("*-values.yaml")):
            yield chart, file.name.removesuffix("-values.yaml")
