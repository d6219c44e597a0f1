"""Where a predictor's events go and its keys lie: told to its process by the environment. Imports nothing that computes."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shoploop.api.online import EventLogSpec

ENVIRONMENT = "SHOPLOOP_FEEDBACK"
"""Environment variable: :class:`FeedbackSettings` as JSON."""

IMPRESSION_KEYS = "impressions"
SERVER_KEYS = "server"
PUBLISHABLE_KEYS = "publishable"


class FeedbackSettings(BaseModel):
    """Where a predictor's events go."""

    model_config = ConfigDict(extra="forbid")

    recommender: str
    log: EventLogSpec = EventLogSpec()
    folder: Path
    """Of this machine: where a SQLite log lies."""

    keys: Path
    """Of this machine: a folder with ``impressions/`` and ``server/`` (``<id>.key``) and ``publishable/`` (``<id>.json``:
    a ``key`` and the ``origins`` that may use it)."""

    access: Path | None = None
    """Of this machine: a folder with the log's ``username``, ``password`` and ``ca.crt``, as its spec asks for them."""
