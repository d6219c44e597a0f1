"""Asks the updaters beside predictors who answers there. It asks each pod, since each follows the store by itself."""

import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from pydantic import ValidationError

from shoploop.api.predictor_state import PORT, PredictorState
from shoploop.controller.decide.names import updater_name

SECONDS = 2.0
MOST_BYTES = 64 * 1024
MOST_PODS = 20
"""So many are asked; they all follow one log."""

HOST = "{service}.{namespace}.svc"


def ask(namespace: str, name: str, *, host: str = HOST, port: int = PORT) -> tuple[PredictorState, ...] | str:
    """What the updaters of a Recommender's pods say, or why none does."""
    host = host.format(service=updater_name(name), namespace=namespace)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"{host} has no address ({error.strerror or error})"
    addresses = sorted({str(each[4][0]) for each in found})[:MOST_PODS]
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        told = list(pool.map(lambda address: _state(address, port), addresses))
    states = tuple(each for each in told if isinstance(each, PredictorState))
    return states or next(each for each in told if isinstance(each, str))


def _state(address: str, port: int) -> PredictorState | str:
    url = f"http://[{address}]:{port}/state" if ":" in address else f"http://{address}:{port}/state"
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=SECONDS) as answer:
            return PredictorState.model_validate_json(answer.read(MOST_BYTES))
    except ValidationError:
        return f"what {url} says is no predictor's state"
    except (URLError, OSError) as error:
        return f"{url} does not answer ({getattr(error, 'reason', error)})"
