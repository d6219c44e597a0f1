"""Asks learners how far they are. The operator asks the API server, them and the predictors' updaters (``predictors.py``),
and nothing else."""

from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from pydantic import ValidationError

from shoploop.api.learner_state import PORT, LearnerState
from shoploop.controller.decide.names import learner_name

SECONDS = 2.0
MOST_BYTES = 64 * 1024


URL = "http://{service}.{namespace}.svc:{port}/status"


def ask(namespace: str, name: str, *, url: str = URL) -> LearnerState | str:
    """What the learner of a Recommender says of itself, or why nobody knows."""
    url = url.format(service=learner_name(name), namespace=namespace, port=PORT)
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=SECONDS) as answer:
            return LearnerState.model_validate_json(answer.read(MOST_BYTES))
    except ValidationError:
        return f"what {url} says is no learner's state"
    except (URLError, OSError) as error:
        return f"{url} does not answer ({getattr(error, 'reason', error)})"
