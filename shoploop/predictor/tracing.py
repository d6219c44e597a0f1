"""What of each request is traced: all of it where OpenTelemetry's own variables name an endpoint, else nothing.

BentoML begins a span for each request also where no exporter is named, which costs a tenth of an answer and is seen by
nobody; so without an endpoint no path is traced.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Environment variable, as OpenTelemetry names it: where an OTLP collector is listening by HTTP, e.g. http://otel:4318. Of
OpenTelemetry's variables this one, :data:`SHARE` and :data:`PROTOCOL` are read."""

PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
"""Environment variable, as OpenTelemetry names it: http/protobuf, which is all that is spoken here."""

SHARE = "OTEL_TRACES_SAMPLER_ARG"
"""Environment variable, as OpenTelemetry names it: the share of requests that is traced; all where not given."""

NOTHING = {"excluded_urls": ".*"}
SPOKEN = "http/protobuf"


def tracing(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What BentoML's service is told of tracing.

    Platforms set these variables for all their pods, so one that is not understood costs the traces and not the answers: it
    is told in the log.
    """
    endpoint = environment.get(ENDPOINT, "").strip()
    if not endpoint:
        return dict(NOTHING)
    if (protocol := environment.get(PROTOCOL, SPOKEN).strip() or SPOKEN) != SPOKEN:
        return _untraced(f"{PROTOCOL} is {protocol!r}. Set it to {SPOKEN}, and {ENDPOINT} to that port, mostly 4318.")
    said = environment.get(SHARE, "1").strip() or "1"
    try:
        share = float(said)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        return _untraced(f"{SHARE} is {said!r}. Set it to the share of requests to trace, from 0 to 1.")
    traces = endpoint if endpoint.rstrip("/").endswith("/v1/traces") else f"{endpoint.rstrip('/')}/v1/traces"
    return {
        "exporter_type": "otlp",
        "sample_rate": share,
        "otlp": {"protocol": "http", "endpoint": traces, "http": {}},
    }


def _untraced(why: str) -> dict[str, Any]:
    logging.getLogger(__name__).warning("Requests are not traced: %s", why)
    return dict(NOTHING)
