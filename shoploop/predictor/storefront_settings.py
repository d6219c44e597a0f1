"""The example shop's place and key: told to the predictor's process by the environment. Imports nothing that serves."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

ENVIRONMENT = "SHOPLOOP_STOREFRONT"
"""Environment variable: :class:`StorefrontSettings` as JSON."""

PATH = "/storefront"


class StorefrontSettings(BaseModel):
    """What a predictor needs to serve the example shop."""

    model_config = ConfigDict(extra="forbid")

    name: str
    """Of the recommender."""

    folder: Path
    """Of the static files."""

    key: str
    """Publishable key for ``/events``: pages show it to everybody."""
