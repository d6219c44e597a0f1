"""The BentoML service over HTTP, in this process, once: Prometheus counts a process's services as one."""

import base64
import json
import threading
import time
import warnings
from contextlib import ExitStack, contextmanager
from pathlib import Path

import prometheus_client  # noqa: F401  # before Feast, which has it count for several processes from then on
import pytest

PAGES = Path(__file__).parents[2] / "examples" / "storefront"


@contextmanager
def listening(app):
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="session")
def server_key(place):
    from shoploop.events.keyring import add_key

    return base64.b64encode(add_key(place / "keys" / "server").secret).decode()


@pytest.fixture(scope="session")
def client(place, server_key, tmp_path_factory):
    import httpx  # here, so that other tests need not wait for a predictor's libraries
    from shop.serving import make_ranker

    from shoploop.events.keyring import add_key
    from shoploop.predictor.feedback_settings import ENVIRONMENT
    from shoploop.predictor.storefront_settings import ENVIRONMENT as STOREFRONT
    from shoploop.ranking.ranker import Ranker

    add_key(place / "keys" / "impressions")
    (place / "keys" / "publishable").mkdir()
    front = {"key": "pk_front", "origins": ["https://shop.example"]}
    (place / "keys" / "publishable" / "front.json").write_text(json.dumps(front))
    ranker = make_ranker(tmp_path_factory.mktemp("ranker"), allowed_origins=("https://shop.example",))
    told = {"recommender": "grocery", "folder": str(place), "keys": str(place / "keys")}
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # until it has started: other tests must not meet it
            patch.setenv("BENTOML_DO_NOT_TRACK", "True")
            patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
            patch.setenv(ENVIRONMENT, json.dumps(told))
            patch.setenv(STOREFRONT, json.dumps({"name": "grocery", "folder": str(PAGES), "key": "pk_storefront"}))
            patch.setattr(Ranker, "load", lambda folder: ranker)
            with warnings.catch_warnings(action="ignore"):  # BentoML's own imports use what others have deprecated
                from serving.service import Recommender

            url = stack.enter_context(listening(Recommender.to_asgi()))
            page = {"key": "pk_storefront", "origins": [url]}
            (place / "keys" / "publishable" / "storefront.json").write_text(json.dumps(page))
            client = stack.enter_context(httpx.Client(base_url=url, timeout=60))
            first = client.post("/recommend", json={"user": "ann"})
            assert "impression" in first.json(), first.text
        yield client
