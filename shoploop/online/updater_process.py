"""``python -m shoploop.online.updater_process``: the sidecar of a predictor; brings it what the learner learned.

It knows no model and holds no key but the store's; what nobody trusted signed it does not bring. It answers ``/startz`` once
it has looked at the chain, whatever it found there, so that a new pod begins with the newest commit and a chain that cannot
be read keeps no pod from serving.
"""

import argparse
import logging
from pathlib import Path

from shoploop.compute.answering import Reply, serve
from shoploop.exits import guarded
from shoploop.online.chain import Chain
from shoploop.online.process import asked_to_end
from shoploop.online.pulse import Pulse
from shoploop.online.updater import Updater, follow
from shoploop.store import Store

PORT = 9101


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m shoploop.online.updater_process")
    parser.add_argument("--recommender", required=True, help="its name")
    parser.add_argument("--version", required=True, help="whose chain is followed")
    parser.add_argument("--store", required=True, help="URL of the store")
    parser.add_argument("--into", required=True, type=Path, help="the folder that the predictor follows")
    parser.add_argument("--port", type=int, default=PORT, help="where it answers")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def bring(**_: object) -> None:
        until, pulse, looks = asked_to_end(), Pulse(), [0]
        chain = Chain(Store(args.store, read_only=True), args.recommender, args.version, beat=pulse.beat)

        def looked() -> None:
            pulse.beat()
            looks[0] += 1

        def answer(path: str) -> Reply | None:
            match path.partition("?")[0]:
                case "/livez":
                    return pulse.reply()
                case "/startz":
                    return (200, "text/plain", b"ok\n") if looks[0] else (503, "text/plain", b"it looks\n")
            return None

        serve(args.port, answer)
        follow(Updater(chain, args.into, version=args.version), until=until, looked=looked)

    return guarded(bring)


if __name__ == "__main__":
    raise SystemExit(main())
