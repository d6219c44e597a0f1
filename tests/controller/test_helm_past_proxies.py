"""The program helm asks the API server that the operator asks, also where the operator's environment names a proxy."""

from pathlib import Path
from threading import BoundedSemaphore

import pytest

from shoploop.controller.helm import Helm

OF_THE_CHART = "localhost,127.0.0.1,kubernetes.default,.svc,.cluster.local"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The words that helm is told of whom to ask directly."""
    for name in ("NO_PROXY", "no_proxy", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    program, seen = tmp_path / "helm", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\necho "$HTTPS_PROXY $NO_PROXY" > {seen}\n')
    program.chmod(0o755)

    def run(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        Helm(program=str(program), chart=Path("chart"), slots=BoundedSemaphore(1)).uninstall("shop", "grocery")
        proxy, _, direct = seen.read_text().strip().partition(" ")
        return proxy, direct.split(",") if direct else []

    return run


@pytest.mark.parametrize("host", ["10.96.0.1", "fd00::1"])
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_in_a_pod_helm_asks_the_api_server_past_the_proxy(told, host, variable):
    given = {"HTTPS_PROXY": "http://proxy:3128", variable: OF_THE_CHART, "KUBERNETES_SERVICE_HOST": host}
    proxy, direct = told(**given)
    assert proxy == "http://proxy:3128"
    assert direct == [*OF_THE_CHART.split(","), host]


def test_a_pod_whose_proxy_has_no_exceptions_has_one_for_the_api_server(told):
    assert told(HTTPS_PROXY="http://proxy:3128", KUBERNETES_SERVICE_HOST="10.96.0.1")[1] == ["10.96.0.1"]


def test_outside_a_cluster_the_environment_stays_as_it_is(told):
    assert told(HTTPS_PROXY="http://proxy:3128", NO_PROXY="example.com") == ("http://proxy:3128", ["example.com"])
