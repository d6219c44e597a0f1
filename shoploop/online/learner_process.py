"""``python -m shoploop.online.learner_process``: the one learner of a recommender, in its pod.

It answers ``/livez``, ``/readyz``, ``/status`` and ``/metrics`` meanwhile. Where it must not go on, because another learner
is at work or the log has a gap, it says so there and looks again from time to time: whoever it shares a pod with is not
disturbed, and who comes too late today may be the only one tomorrow.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from shoploop.api.loading import problems_of
from shoploop.api.online import EventLogSpec, GuardrailsSpec
from shoploop.compute.answering import serve
from shoploop.compute.cores import use_one_thread
from shoploop.compute.garbage import collecting_nothing
from shoploop.errors import ShoploopError, SpecInvalid
from shoploop.events.awaited import AwaitedLog
from shoploop.events.opening import open_log
from shoploop.exits import guarded
from shoploop.online.chain import Chain
from shoploop.online.guardrails import GuardConfig
from shoploop.online.learner import LearnerConfig
from shoploop.online.limits import LimitConfig
from shoploop.online.loop import OnlineLoop
from shoploop.online.optimizers import OptimizerName
from shoploop.online.process import asked_to_end, check_signer, keep_what_is_loaded, learner_arguments
from shoploop.online.pulse import Pulse
from shoploop.online.telling import Telling
from shoploop.ranking.ranker import Ranker
from shoploop.store import Store

REST_SECONDS = 15.0
"""Before it looks again whether it may go on."""


def main(arguments: list[str] | None = None) -> int:
    parser = learner_arguments("python -m shoploop.online.learner_process")
    parser.add_argument("--ranker", required=True, type=Path, help="folder of the version, as it was packaged")
    parser.add_argument("--beside", help="the version that serves, whose place this one is to take")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    def learn(**_: object) -> None:
        check_signer()
        use_one_thread()
        until = asked_to_end()
        with collecting_nothing():
            ranker, pulse = Ranker.load(args.ranker), Pulse()
        start, width = ranker.settings.events_offset, ranker.items()[0].shape[1]
        store = Store(args.store)
        chain = Chain(store, args.recommender, ranker.version, width=width, start=start, beat=pulse.beat)
        spec = EventLogSpec.model_validate_json(args.log)
        guardrails = guardrails_of(args.guardrails)
        with AwaitedLog(
            lambda: open_log(spec, name=args.recommender, folder=args.log_folder, access=args.access)
        ) as log:
            loop = OnlineLoop(
                ranker=ranker,
                log=log,
                chain=chain,
                start=start,
                learner=LearnerConfig(optimizer=cast(OptimizerName, args.optimizer.lower())),
                guard=GuardConfig.of(guardrails),
                limits=LimitConfig.of(guardrails),
                beat=pulse.beat,
                beside=Chain(store, args.recommender, args.beside, beat=pulse.beat) if args.beside else None,
            )
            telling = Telling(
                loop=loop, chain=chain, log=log, name=args.recommender, version=ranker.version, pulse=pulse
            )
            serve(args.port, telling.answer)
            keep_what_is_loaded()
            logging.info("%s %s learns from what comes after record %d.", args.recommender, ranker.version, start)
            run(loop, telling, period_seconds=args.period_seconds, until=until, beat=pulse.beat)

    return guarded(learn)


def guardrails_of(told: str) -> GuardrailsSpec:
    """What a chart's values, or a person, say of them.

    Raises:
        SpecInvalid: there is no such number, or it is out of its bounds.
    """
    try:
        return GuardrailsSpec.model_validate_json(told)
    except ValidationError as error:
        why = "; ".join(problems_of(error, GuardrailsSpec))
        raise SpecInvalid(
            f"--guardrails, online.guardrails of the chart, as in spec.online.guardrails: {why}"
        ) from error


def run(
    loop: OnlineLoop,
    telling: Telling,
    *,
    period_seconds: float,
    until: Callable[[], bool],
    beat: Callable[[], None] = lambda: None,
    rest_seconds: float = REST_SECONDS,
) -> None:
    """Learns until it is told to end; what it must not go on from is told, and tried again."""
    told = ""
    while not until():
        try:
            loop.run(period_seconds=period_seconds, until=until)
        except ShoploopError as error:
            telling.stopped_by(error)
            if str(error) != told:
                told = str(error)
                logging.warning("%s It is tried again.", error)
            deadline = time.monotonic() + rest_seconds
            while time.monotonic() < deadline and not until():
                beat()
                time.sleep(0.2)


if __name__ == "__main__":
    raise SystemExit(main())
