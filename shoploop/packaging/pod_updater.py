"""``python -m shoploop.packaging.pod_updater``: the sidecar of a predictor on a cluster.

It follows the logs of promotions and candidates in the store, fetches and verifies what may answer, and tells the server by
a file; what is learned online it brings beside. It reads the store and never writes it: what follows by itself, a
candidate's last step or its return, it tells at ``/state``, and the operator has it written. It answers ``/startz`` once it
has looked, whatever it found, so that a new pod begins with what serves and a store that is away keeps no pod from serving.
"""

import argparse
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from shoploop.api.predictor_state import PORT, PredictorState
from shoploop.compute.answering import Reply, serve
from shoploop.errors import ShoploopError
from shoploop.exits import guarded
from shoploop.online.process import asked_to_end
from shoploop.online.pulse import Pulse
from shoploop.packaging.bento import fetch_bento
from shoploop.packaging.brought import Brought
from shoploop.packaging.fetch import add_settings, apply_settings, ranker_folder
from shoploop.packaging.learning import level_version
from shoploop.packaging.lineups import AWAY_SECONDS, LOOK_SECONDS, LineupKeeper
from shoploop.packaging.serving_code import code_of
from shoploop.store import Store
from shoploop.versions import promotions
from shoploop.versions.signing import Trust

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shoploop.packaging.pod_updater")
    parser.add_argument("--recommender", required=True, help="its name")
    parser.add_argument("--version", required=True, help="that the pod is started with")
    parser.add_argument("--bento", required=True, type=Path, help="folder that it was unpacked to")
    parser.add_argument("--store", required=True, help="URL of the store")
    parser.add_argument(
        "--lineup", required=True, type=Path, help="folder in which the server and this tell each other"
    )
    parser.add_argument("--into", required=True, type=Path, help="folder for versions, and for what is learned")
    parser.add_argument("--learns", action="store_true", help="bring what is learned online, too")
    parser.add_argument("--port", type=int, default=PORT, help="where it answers")
    add_settings(parser)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def bring(**_: object) -> None:
        until, pulse, stack = asked_to_end(), Pulse(), ExitStack()
        keeper: LineupKeeper | None = None
        problem = ""

        def answer(path: str) -> Reply | None:
            match path.partition("?")[0]:
                case "/livez":
                    return pulse.reply()
                case "/startz":
                    looked = keeper is not None or problem
                    return (200, "text/plain", b"ok\n") if looked else (503, "text/plain", b"it looks\n")
                case "/state":
                    state = (
                        keeper.state()
                        if keeper
                        else PredictorState(base=args.version, stable=args.version, problem=problem or None)
                    )
                    return 200, "application/json", state.model_dump_json(by_alias=True, exclude_none=True).encode()
            return None

        serve(args.port, answer)
        with stack:
            while keeper is None and not until():
                try:
                    keeper = begun(args, stack, beat=pulse.beat)
                except ShoploopError as error:  # the store is away; the server starts with its own version
                    if str(error) != problem:
                        problem = str(error)
                        log.warning("%s The pod serves the version that it was started with.", error)
                    pulse.beat()
                    time.sleep(AWAY_SECONDS)
            if keeper is not None:
                follow(keeper, args.into / "bentos", until=until, looked=pulse.beat)

    return guarded(bring)


def begun(args: argparse.Namespace, stack: ExitStack, *, beat: Callable[[], None]) -> LineupKeeper:
    """A keeper that has looked once.

    Raises:
        ShoploopError: the store does not say who serves.
    """
    store, trust = Store(args.store, read_only=True), Trust.configured()
    cache: Path = args.into / "bentos"
    cache.mkdir(parents=True, exist_ok=True)
    args.lineup.mkdir(parents=True, exist_ok=True)
    version, bento = args.version, args.bento
    learning: Brought | None = None
    if args.learns:
        learning = stack.enter_context(Brought(store, args.recommender, args.into / "updates", beat=beat))
        history = promotions.promotions(store, args.recommender)
        level = level_version(store, args.recommender, history, None, beat=beat) if history else version
        if level != version:  # another one was promoted since the pods were made, and has learned more
            other = fetch_bento(store, args.recommender, level, cache, trust)
            if code_of(other) == code_of(bento):
                apply_settings(ranker_folder(other), args)
                version, bento = level, other
    keeper = LineupKeeper(
        store,
        args.recommender,
        args.lineup,
        version=version,
        bento=bento,
        base=args.version,
        cache=cache,
        trust=trust,
        learning=learning,
        writes=False,
        prepare=lambda ranker: apply_settings(ranker, args),
        tell=log.info,
    )
    keeper.knows(args.version, ranker_folder(args.bento))
    try:
        keeper.look()
    except (ShoploopError, OSError) as error:  # who serves is known, and what was promoted or is tried cannot be had
        log.warning("%s Who serves goes on.", error)
        keeper.problem = str(error)
    return keeper


def follow(keeper: LineupKeeper, bentos: Path, *, until: Callable[[], bool], looked: Callable[[], None]) -> None:
    """Looks again and again until it is told to end; what goes wrong is told once, and removes what nobody needs."""
    told = ""
    while not until():
        pause = LOOK_SECONDS
        try:
            if keeper.look():
                remove_others(bentos, keeper.unpacked)
            told, keeper.problem = "", None
        except (ShoploopError, OSError) as error:  # a full disk, too
            pause, keeper.problem = AWAY_SECONDS, str(error)
            if str(error) != told:
                told = str(error)
                log.warning("%s Who serves goes on.", error)
        looked()
        time.sleep(pause)


def remove_others(bentos: Path, needed: set[Path]) -> None:
    """Removes unpacked Bentos that predictors are no longer told of."""
    for folder in bentos.iterdir():
        if folder.is_dir() and not any(ranker.is_relative_to(folder) for ranker in needed):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
