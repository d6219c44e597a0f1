"""What runs in pods: an updater as a process of its own, and the learner as its pod begins it."""

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import numpy as np
from shop.serving import make_ranker

from shoploop.errors import KeyUnusable
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online import learner_process, updater_process
from shoploop.online.chain import Chain
from shoploop.online.pointer import Pointer, file_name
from shoploop.online.rows import from_bytes
from shoploop.packaging.local_service import free_port
from shoploop.store import Store
from shoploop.versions.signing import Trust


def get(port: int, path: str) -> bytes | None:
    """What it answers; None where it does not, or not well."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read()
    except (URLError, OSError):
        return None


def until(wanted, *, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not (found := wanted()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def newest(updates, commit: int) -> Pointer | None:
    try:
        found = Pointer.read(updates)
    except OSError:
        return None
    return found if found.commit == commit else None


def test_what_is_bought_is_learned_by_one_pod_and_brought_by_another(tmp_path, monkeypatch):
    ranker, stop = make_ranker(tmp_path, alpha_logit=-20.0), threading.Event()
    monkeypatch.setattr(learner_process.Ranker, "load", lambda folder: ranker)
    monkeypatch.setattr(learner_process, "asked_to_end", lambda: stop.is_set)
    monkeypatch.setattr(learner_process, "keep_what_is_loaded", lambda: None)
    store, updates, ports = f"file://{tmp_path}/store", tmp_path / "updates", (free_port(), free_port())
    (tmp_path / "store").mkdir()
    learns = ["--recommender=grocery", f"--store={store}", f"--ranker={tmp_path}", "--period-seconds=0.1"]
    learns += ['--log={"type": "Sqlite"}', f"--log-folder={tmp_path}", f"--port={ports[1]}"]
    brings = ["--recommender=grocery", "--version=v123", f"--store={store}", f"--into={updates}", f"--port={ports[0]}"]
    ended = []
    learner = threading.Thread(target=lambda: ended.append(learner_process.main(learns)))
    updater = subprocess.Popen([sys.executable, "-m", updater_process.__name__, *brings])
    learner.start()
    try:
        until(lambda: get(ports[0], "/startz"))
        until(lambda: get(ports[1], "/readyz"))
        now = datetime.now(UTC)
        bought = Kept(source="organic", kind="purchase", user="ann", item="salt", time=now, received=now)
        with SqliteLog(tmp_path / "events.sqlite") as log:
            log.append([Entry("1", to_json(bought))])
        state = until(lambda: (told := json.loads(get(ports[1], "/status") or b"{}")).get("commit") == 1 and told)
        assert (state["examples"], state["lagSeconds"], state["version"]) == (1, 0.0, "v123")
        pointer = until(lambda: newest(updates, 1))
        assert get(ports[0], "/livez") and get(ports[0], "/") is None
        updater.send_signal(signal.SIGTERM)
        assert updater.wait(30) == 0
    finally:
        stop.set()
        updater.kill()
        updater.wait()
        learner.join()
    assert ended == [0]
    chain = Chain(Store(store), "grocery", "v123")
    chain.refresh()
    rows = from_bytes((updates / file_name(pointer.sha256)).read_bytes(), width=None, what="rows")
    assert np.array_equal(rows.vectors_ND, chain.state().rows.vectors_ND)
    salt = ranker.encode(["salt"])[0]
    assert rows.bias_N[rows.codes_N.tolist().index(salt)] > ranker.items()[1][salt]


def test_who_cannot_sign_what_is_asked_to_be_signed_does_not_begin(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("shoploop.online.process.Trust.configured", lambda: Trust(policy="Require", keys={}))
    asked = ["--recommender=grocery", f"--store=file://{tmp_path}", f"--ranker={tmp_path}", "--log={}"]
    assert learner_process.main([*asked, f"--log-folder={tmp_path}"]) == KeyUnusable.exit_code
    assert "none is at hand to sign with" in capsys.readouterr().err
