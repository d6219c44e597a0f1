"""Who may ask, and where what administers is answered: told to a predictor's process by the environment. Imports nothing that
computes."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from shoploop.api.access import TokenRules

ENVIRONMENT = "SHOPLOOP_ACCESS"
"""Environment variable: :class:`AccessSettings` as JSON. Unset: everybody may ask."""

ADMIN = "SHOPLOOP_ADMIN"
"""Environment variable: :class:`AdminSettings` as JSON. Unset: metrics and the like are answered where shoppers ask."""

RULES, KEY_SET = "tokens.json", "jwks.json"


class AccessSettings(BaseModel):
    """Who may ask a predictor."""

    model_config = ConfigDict(extra="forbid")

    folder: Path
    """Of this machine: ``NAME.key`` are API keys, ``jwks.json`` holds an issuer's public keys."""

    tokens: TokenRules | None = None
    """Which tokens are believed; None: none."""


class AdminSettings(BaseModel):
    """Where a predictor answers who administers it."""

    model_config = ConfigDict(extra="forbid")

    port: int = Field(ge=0, le=65535)
    """0 takes a free one."""

    host: str = "127.0.0.1"
