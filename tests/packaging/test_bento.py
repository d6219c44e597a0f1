"""What ``build_bento`` wrote is what serves: packaged, published, fetched, verified, started, and asked."""

import base64
import gzip
import json
import shutil
import socket
import tarfile
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from shop.serving import write_model
from toy_shop import until
from watched_imports import imported, watching

from shoploop import code_digest
from shoploop.api.online import EventLogSpec
from shoploop.api.v1alpha1 import ServingSpec
from shoploop.bench import soak
from shoploop.bench.serving import compare_offline
from shoploop.data.collected import CollectedThrough
from shoploop.errors import ArtifactCorrupt, NotFound, PortInUse, SpecInvalid
from shoploop.events.keyring import add_key
from shoploop.online.chain import Chain
from shoploop.packaging import bento
from shoploop.packaging import local_service as serve
from shoploop.predictor import tracing
from shoploop.predictor.feedback_settings import SERVER_KEYS
from shoploop.ranking.settings import RankerSettings
from shoploop.shells import shells_folder
from shoploop.store import Store, layout
from shoploop.versions import promotions


@pytest.fixture(scope="module")
def run(stored_shop, tmp_path_factory):
    """A run's folders: data, features, model and the Bento."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "features").symlink_to(stored_shop / "features")
    shutil.copytree(stored_shop / "data", folder / "data")
    loaded = json.loads((folder / "data" / "load.json").read_text())
    assert loaded["collected"] == {"cut": 0, "offset": 0}
    (folder / "data" / "load.json").write_text(json.dumps(loaded | {"collected": {"cut": 2, "offset": 7}}))
    write_model(folder / "model")
    serving = ServingSpec(item_fields=["title", "price"], deadline_milliseconds=60_000)
    build(run=folder, out=folder / "bento", serving_spec=serving)
    return folder


def build(*, run: Path, out: Path, **options):
    folders = {name: run / name for name in ("data", "features", "model")}
    return bento.build_bento(**folders, out=out, **options)


@pytest.fixture(scope="module")
def store(run, tmp_path_factory):
    """A store in which the run's version is published, not promoted."""
    store = Store(str(tmp_path_factory.mktemp("store")))
    version = promotions.publish_version(store, "small", run / "model")
    bento.publish_bento(store, "small", version, run / "bento")
    return store


def version_of(run: Path) -> str:
    return json.loads((run / "bento" / "bento.json").read_text())["version"]


@pytest.fixture(scope="module")
def asked(run, store, tmp_path_factory):
    """What the Bento said while it was served, which modules it imported, and the spans of its requests.

    It is served once with all that can be asked for: the first answers are from before anybody has done anything; then
    something is out of stock, shoppers buy, and a learner is killed, which is what ``here`` holds.
    """
    watch = tmp_path_factory.mktemp("watch") / "imports"
    with pytest.MonkeyPatch.context() as environment, collector() as (endpoint, spans):
        environment.setenv(tracing.ENDPOINT, endpoint)
        for variable, value in watching(watch).items():
            environment.setenv(variable, value)
        ports = {"port": serve.free_port(), "admin_port": serve.free_port()}
        access, gone = tmp_path_factory.mktemp("access") / "keys", tmp_path_factory.mktemp("stock") / "gone.txt"
        gone.write_text("")
        online = {"events": EventLogSpec(), "out_of_stock": gone, "online": True}
        others, version = set(psutil.Process().children(recursive=True)), version_of(run)
        with (
            (watch.parent / "log.txt").open("w+b") as log,
            serve.running(store, "small", version=version, access=access, log=log, **ports, **online) as service,
        ):
            environment.undo()
            [key] = access.glob("*.key")
            anybody = httpx.post(f"{service.url}/recommend", json={"user": "ann"})
            bearer = {"authorization": f"Bearer {key.read_text().strip()}"}
            with httpx.Client(base_url=service.url, timeout=60, headers=bearer) as client:
                shoppers = ("ann", "bob", "nobody")
                answers = {u: client.post("/recommend", json={"user": u, "k": 3}).json() for u in shoppers}
                bad = client.post("/recommend", json={"user": "ann", "k": 0})
                metrics = client.get(f"{service.admin_url}/metrics").text
                hidden = {path: client.get(path).status_code for path in ("/metrics", "/docs.json", "/load", "/readyz")}
                load = client.get(f"{service.admin_url}/load").json()
                until(lambda: any("/recommend" in span for span in spans))
                ranked = client.post("/rank", json={"user": "ann", "items": ["milk", "apples"]})
                with pytest.raises(PortInUse, match="cannot be listened on"):
                    serve.check_port(int(service.url.rsplit(":", 1)[1]))
                here = go_on(service, client, gone, others)
                ranks = psutil.Process(service.process.pid)
                own = {
                    process.pid for process in (ranks, *ranks.children(recursive=True))
                }  # not the learner and the updater
        lines = (watch.parent / "log.txt").read_text().splitlines()
    return SimpleNamespace(
        answers=answers, bad=bad, metrics=metrics, ranked=ranked, process=service.process, imported=imported(watch, own),
        here=here, hidden=hidden, load=load, anybody=anybody, spans=spans,
        lines=[json.loads(line) for line in lines if line.startswith("{")],
    )  # fmt: skip


@contextmanager
def collector():
    """Listens as a collector of OpenTelemetry's does; its address, and the names of the spans that came."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    names = []

    class Collects(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names.extend(span.name for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collects) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", names
        server.shutdown()


def test_where_an_endpoint_is_named_each_request_leaves_a_span(asked):
    assert any("/recommend" in name for name in asked.spans)


def test_each_request_leaves_a_line_with_its_answers_id_and_nobodys_name(asked):
    told = {line.get("request_id"): line for line in asked.lines}
    for user, answer in asked.answers.items():
        line = told[answer["request_id"]]
        assert (line["route"], line["status"], line["method"]) == ("/recommend", 200, answer["method"]), user
    assert {(line["route"], line["status"]) for line in asked.lines} >= {("/recommend", 401), ("/recommend", 400)}
    assert "ann" not in json.dumps(asked.lines)


def test_served_with_access_who_has_no_key_is_refused(asked):
    assert (asked.anybody.status_code, asked.anybody.json()["code"]) == (401, "key_missing")
    assert 'shoploop_callers_total{outcome="key_missing"} 1.0' in asked.metrics


def test_what_administers_is_answered_at_its_own_port_alone(asked):
    assert asked.hidden == {"/metrics": 404, "/docs.json": 404, "/load": 404, "/readyz": 200}
    assert asked.load == {"inFlight": 0}


def test_a_bento_holds_every_module_that_its_service_imports(run, asked):
    assert asked.ranked.status_code == 200

    with tarfile.open(run / "bento" / f"{version_of(run)}.bento") as archive:
        held = set(archive.getnames())
    modules = {name for name in asked.imported if code_digest._source(name)}
    files = {f"src/{path.relative_to(shells_folder())}" for path in map(code_digest._source, modules)}
    assert "src/shoploop/ranking/ranker.py" in files and files <= held


def test_a_bento_knows_which_events_its_histories_hold(run, store, tmp_path):
    folder = bento.fetch_bento(store, "small", version_of(run), tmp_path)
    assert RankerSettings.read(folder / "src" / "ranker").events_offset == 7
    assert bento.collected_of(store, "small", version_of(run)) == CollectedThrough(cut=2, offset=7)


def test_the_built_bento_answers_like_an_offline_run(run, asked):
    version = version_of(run)
    answers, bad, metrics = asked.answers, asked.bad, asked.metrics
    assert asked.process.poll() is not None, "the service outlived its block"
    assert [item["item"] for item in answers["ann"]["items"]][:2] == ["milk", "apples"]
    assert answers["ann"]["version"] == version
    assert answers["ann"]["items"][0]["fields"] == {"title": "Milk", "price": 3.5}
    assert answers["nobody"]["method"] == "popularity" and answers["nobody"]["items"]
    assert bad.status_code == 400 and bad.json()["detail"].startswith("k: ")
    assert 'endpoint="/recommend",http_response_code="200"' in metrics
    assert 'shoploop_answers_total{method="fused",route="/recommend"} 2.0' in metrics
    assert 'shoploop_answers_total{method="popularity",route="/recommend"} 1.0' in metrics
    assert "shoploop_data_age_days " in metrics
    offline = compare_offline(run, answers)
    assert offline["compared"] == offline["equal"] == 2


def go_on(service, client, gone, others):
    """What is said with an example shop and something out of stock, and what online learning says of what is bought."""
    said = SimpleNamespace()
    gone.write_text("milk\n")
    said.page = client.get(service.storefront)
    key = client.get(f"{service.storefront}config.json").json()["key"]
    view = {"id": "1", "kind": "view", "user": "zoe", "item": "tea"}
    origin = service.url.replace("127.0.0.1", "localhost")
    headers = {"authorization": f"Bearer {key}", "origin": origin}
    said.told = client.post("/events", json={"events": [view]}, headers=headers)

    def left_out() -> dict | None:
        answer = client.post("/recommend", json={"user": "ann", "k": 3}).json()
        return answer if answer["rules"] else None

    said.answer = until(left_out)  # the file is looked at every second
    said.capped = client.post("/recommend", json={"user": "ann", "k": 12, "rules": {"maxPerCategory": 1}}).json()
    said.metrics = client.get(f"{service.admin_url}/metrics").text

    secret = base64.b64encode(add_key(service.events.keys / SERVER_KEYS).secret).decode()
    bearer = {"authorization": f"Bearer {secret}"}  # a new key is known after a second

    def buys(name: str, item: str) -> None:
        event = {"id": name, "kind": "purchase", "user": "ann", "item": item}
        until(lambda: client.post("/events", json={"events": [event]}, headers=bearer).status_code == 202)

    def commit_above(number: int) -> int | None:
        found = client.post("/recommend", json={"user": "bob"}).json()["commit"] or 0
        return found if found > number else None

    def learner() -> psutil.Process | None:
        mine = [p for p in psutil.Process().children(recursive=True) if "learn" in p.cmdline()[:6]]
        return mine[0] if mine else None

    said.before = client.post("/recommend", json={"user": "bob"}).json()["commit"]
    buys("first", "tea")
    said.first = until(lambda: commit_above(0))
    said.processes = set(psutil.Process().children(recursive=True)) - others
    until(learner).kill()
    buys("second", "apples")
    said.second = until(lambda: commit_above(said.first))
    return said


@pytest.fixture(scope="module")
def here(asked):
    return asked.here


def test_served_here_there_is_an_example_shop_and_what_is_out_of_stock_is_left_out(here):
    assert here.page.status_code == 200 and "For you" in here.page.text
    assert here.told.status_code == 202, here.told.text
    assert here.answer["items"][0]["item"] == "apples"
    assert here.answer["rules"] == [{"rule": "out_of_stock", "items": 1}]
    assert len(here.capped["items"]) == 2  # one sweet, one salty
    assert "shoploop_out_of_stock_items 1.0" in here.metrics


def test_served_online_what_shoppers_buy_is_in_the_next_answers_even_if_the_learner_is_killed(run, store, here):
    assert here.before is None
    assert 0 < here.first < here.second
    psutil.wait_procs(here.processes, timeout=30)
    assert here.processes and not [process for process in here.processes if process.is_running()]
    chain = Chain(store, "small", version_of(run))
    chain.refresh()
    assert chain.state().totals.examples == 2


def test_under_load_no_request_fails_and_what_each_process_holds_is_told(run, store, monkeypatch):
    monkeypatch.setattr(soak, "serving_version", lambda store, name: version_of(run))
    monkeypatch.setattr(soak, "folder_of", lambda store, name, version: run)
    others, before = set(psutil.Process().children(recursive=True)), list(store.list())
    found = soak.run(store, "small", minutes=0.1, online=True)
    assert list(store.list()) == before  # what it learns and collects is nobody's
    assert found["failures"] == 0 and found["restarts"] == 0, found["first_failures"]
    assert set(found["processes"]) == {"serve", "bentoml", "predictor", "learner", "updater"}
    assert all(each["fds_end"] > 0 and each["threads_end"] > 0 for each in found["processes"].values())
    assert found["requests"] == sum(found["requests_by"].values())
    assert found["requests_by"]["recommend"] > 10 and found["events"]["accepted"] > 0
    assert found["log"]["records"] > found["events"]["accepted"]  # impressions, too
    assert found["commits"]["count"] > 0 and found["commits"]["bytes_p50"] > 0
    assert found["lag_seconds"]["p50"] is not None
    assert not set(psutil.Process().children(recursive=True)) - others


def test_a_bento_holds_code_model_features_and_settings(run):
    with tarfile.open(run / "bento" / f"{version_of(run)}.bento") as archive:
        names = set(archive.getnames())

    assert {"bento.yaml", "src/serving/service.py", "src/shoploop/ranking/ranker.py"} <= names
    assert {
        "src/ranker/model/manifest.json",
        "src/ranker/features/feast/online.db",
        "src/ranker/settings.json",
    } <= names
    assert not any("shoploop/training" in name or "shoploop/controller" in name for name in names)


def test_an_item_field_that_the_items_lack_is_named_with_those_that_they_have(run, tmp_path):
    with pytest.raises(SpecInvalid, match=r"itemFields names colour, which the items table lacks. It has item, title"):
        build(run=run, out=tmp_path, serving_spec=ServingSpec(item_fields=["title", "colour"]))

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_served_before_a_promotion(run, store):
    with pytest.raises(NotFound, match=f"No version of 'small' was promoted yet; {version_of(run)} is kept"):
        serve.serve(store, "small", port=serve.free_port())


def test_to_serve_what_is_not_there_makes_no_keys(store):
    before = set(store.folder.rglob("*.key"))
    for name, version in (("nobody", None), ("grocery", "v000000000000")):
        with pytest.raises(NotFound):
            serve.serve(store, name, port=serve.free_port(), version=version)
    assert set(store.folder.rglob("*.key")) == before


def test_an_unknown_recommender_is_answered_with_the_known_ones(store):
    with pytest.raises(NotFound, match="Known: small"):
        serve.serve(store, "smal", port=serve.free_port())


def test_a_version_without_a_bento_says_how_to_get_one(store):
    with pytest.raises(NotFound, match="has no Bento"):
        serve.serve(store, "small", port=serve.free_port(), version="v0")


def test_a_port_in_use_is_named_before_anything_is_unpacked(run, store):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {port} on 127.0.0.1 .* --port"):
            serve.serve(store, "small", port=port, version=version_of(run))


@pytest.fixture
def copied(run, tmp_path):
    """A store of its own, to be damaged."""
    store = Store(str(tmp_path / "store"))
    version = promotions.publish_version(store, "small", run / "model")
    digest = bento.publish_bento(store, "small", version, run / "bento")
    return store, version, f"{layout.version('small', version)}/bento/{digest[:16]}.bento"


def test_a_damaged_bento_is_not_unpacked(copied, tmp_path):
    store, version, key = copied
    store.put(key, store.get(key)[:-1] + b"\x00")

    with pytest.raises(ArtifactCorrupt, match="has sha256"):
        bento.fetch_bento(store, "small", version, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_bento_is_unpacked_once(copied, tmp_path):
    store, version, key = copied
    first = bento.fetch_bento(store, "small", version, tmp_path / "cache")
    store.delete(key)

    assert bento.fetch_bento(store, "small", version, tmp_path / "cache") == first


def test_another_versions_bento_is_not_published(run, tmp_path):
    with pytest.raises(ArtifactCorrupt, match="not of v0"):
        bento.publish_bento(Store(str(tmp_path)), "small", "v0", run / "bento")


def test_the_same_inputs_make_the_same_bytes_wherever_they_are_built(run, tmp_path, monkeypatch):
    """Also below a hidden folder, where a run on a laptop has its temporary files, and in one with a colon."""
    place = tmp_path / ".shop: loop"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    serving = ServingSpec(item_fields=["title", "price"], deadline_milliseconds=60_000)

    again = build(run=run, out=tmp_path, serving_spec=serving)

    assert again == json.loads((run / "bento" / "bento.json").read_text())
