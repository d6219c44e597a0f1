"""``python -m shoploop.packaging.pod_learner``: the learner of a recommender on a cluster, whichever version serves.

It follows the store's logs of promotions and candidates, as predictors do, and has one process learn each version that
answers or is to answer: what is promoted learns in the shadow until it is level. It reads these logs and never writes them.
``/status``, ``/readyz`` and ``/metrics`` are those of the learner of the version that serves.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from shoploop.api.learner_state import PORT
from shoploop.api.online import EventLogSpec
from shoploop.compute.answering import Reply, serve
from shoploop.errors import ShoploopError
from shoploop.exits import guarded
from shoploop.online.process import asked_to_end, check_signer, learner_arguments
from shoploop.online.pulse import Pulse
from shoploop.packaging.bento import fetch_bento
from shoploop.packaging.fetch import ranker_folder
from shoploop.packaging.learning import Learners, level_version
from shoploop.packaging.lineups import AWAY_SECONDS, LineupKeeper
from shoploop.packaging.pod_updater import follow
from shoploop.packaging.serving_code import code_of
from shoploop.store import Store
from shoploop.versions import promotions
from shoploop.versions.signing import Trust

log = logging.getLogger(__name__)

FIRST_PORT = PORT + 8
"""Of the processes; each version has two."""

ASK_SECONDS = 5.0


class PodLearners(Learners):
    """The learners of one pod, each with an updater beside, by which it is known how far predictors would be."""

    def __init__(self, store: Store, args: argparse.Namespace, cache: Path, trust: Trust, *, beat: Callable[[], None]):
        """
        Args:
            store: Where the chains lie.
            args: As this module takes them.
            cache: For unpacked Bentos.
            trust: Who must have signed them.
            beat: Called again and again while a long chain is read.
        """
        folder = args.into / "updates"
        folder.mkdir(parents=True, exist_ok=True)
        spec = EventLogSpec.model_validate_json(args.log)
        super().__init__(store, args.recommender, spec, folder, end=lambda: None, beat=beat)
        self._args, self._cache, self._trust = args, cache, trust
        self._ports: dict[str, int] = {}

    def port(self, version: str) -> int:
        """Where the learner of a version answers."""
        if version not in self._ports:
            taken = set(self._ports.values())
            self._ports[version] = next(port for port in range(FIRST_PORT, 2**16, 2) if port not in taken)
        return self._ports[version]

    def _commands(self, version: str, updates: Path, beside: str | None) -> list[list[str]]:
        args = self._args
        of = ["--recommender", args.recommender, "--store", args.store]
        ranker = ranker_folder(args.bento if version == args.version else self._unpacked(version))
        learner = [
            sys.executable, "-m", "shoploop.online.learner_process", *of, "--ranker", str(ranker), "--log", args.log,
            "--log-folder", str(args.log_folder), "--access", str(args.access), "--optimizer", args.optimizer,
            "--period-seconds", str(args.period_seconds), "--port", str(self.port(version)), "--guardrails", args.guardrails,
            *(["--beside", beside] if beside else []),
        ]  # fmt: skip
        updater = [
            sys.executable, "-m", "shoploop.online.updater_process", *of, "--version", version, "--into", str(updates),
            "--port", str(self.port(version) + 1),
        ]  # fmt: skip
        return [updater, learner]

    def _unpacked(self, version: str) -> Path:
        return fetch_bento(self._store, self._name, version, self._cache, self._trust)


def main(arguments: list[str] | None = None) -> int:
    parser = learner_arguments("python -m shoploop.packaging.pod_learner")
    parser.add_argument("--version", required=True, help="that the pod is started with")
    parser.add_argument("--bento", required=True, type=Path, help="folder that it was unpacked to")
    parser.add_argument("--into", required=True, type=Path, help="folder for versions, and for what is learned")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def learn(**_: object) -> None:
        check_signer()
        until, pulse = asked_to_end(), Pulse()
        store, trust, bentos = Store(args.store), Trust.configured(), args.into / "bentos"
        bentos.mkdir(parents=True, exist_ok=True)
        learners = PodLearners(store, args, bentos, trust, beat=pulse.beat)
        keeper: LineupKeeper | None = None

        def answer(path: str) -> Reply | None:
            if path.partition("?")[0] == "/livez":
                return pulse.reply()
            if keeper is None:
                return 503, "text/plain", b"it looks which version serves\n"
            return asked(learners.port(keeper.state().stable), path)

        serve(args.port, answer)
        try:
            while keeper is None and not until():
                try:
                    keeper = begun(store, args, learners, bentos, trust, beat=pulse.beat)
                except ShoploopError as error:
                    log.warning("%s It is tried again.", error)
                    pulse.beat()
                    time.sleep(AWAY_SECONDS)
            if keeper is not None:
                follow(keeper, bentos, until=until, looked=pulse.beat)
        finally:
            learners.close()

    return guarded(learn)


def begun(
    store: Store, args: argparse.Namespace, learners: PodLearners, cache: Path, trust: Trust, *,
    beat: Callable[[], None],
) -> LineupKeeper:  # fmt: skip
    """A keeper that knows which version has learned most, and has not looked yet.

    Raises:
        ShoploopError: the store does not answer.
    """
    version, bento = args.version, args.bento
    history = promotions.promotions(store, args.recommender)
    level = level_version(store, args.recommender, history, None, beat=beat) if history else version
    if level != version:
        other = fetch_bento(store, args.recommender, level, cache, trust)
        if code_of(other) == code_of(bento):
            version, bento = level, other
    lineup = args.into / "lineup"
    lineup.mkdir(parents=True, exist_ok=True)
    keeper = LineupKeeper(
        store, args.recommender, lineup, version=version, bento=bento, base=args.version, cache=cache, trust=trust,
        learning=learners, writes=False, tell=log.info,
    )  # fmt: skip
    keeper.knows(args.version, ranker_folder(args.bento))
    learners.begin(version)
    return keeper


def asked(port: int, path: str) -> Reply:
    """What a learner answers; 503 where it does not."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}{path}", timeout=ASK_SECONDS) as answer:
            return answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read()
    except HTTPError as error:
        return error.code, error.headers.get("Content-Type", "text/plain"), error.read()
    except (URLError, OSError) as error:
        return 503, "text/plain", f"its process does not answer: {getattr(error, 'reason', error)}\n".encode()


if __name__ == "__main__":
    raise SystemExit(main())
