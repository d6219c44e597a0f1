"""The gate's verdict as others read it: from ``gate.json`` of a run, or as it is kept in the store.

Who packages, publishes or promotes a version asks here. A file that does not hold a true or a false boolean is no
verdict: it is refused, and never counts as passed.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shoploop.errors import ArtifactForeign


class Verdict(BaseModel):
    """Whether a version may serve, by which rule, and why; the numbers that it was decided on stand beside."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    passed: bool
    rule: Literal["NotWorse", "Better", "Always"]
    reason: str


def read_verdict(body: bytes, where: object) -> Verdict:
    """The verdict that ``body``, the JSON of the file or key ``where``, holds.

    Raises:
        ArtifactForeign: it holds none.
    """
    try:
        return Verdict.model_validate_json(body)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the whole'}: {p['msg']}" for p in error.errors())
        raise ArtifactForeign(
            f"{where} holds no verdict of the gate ({problems}). Run `shoploop run` again."
        ) from error
