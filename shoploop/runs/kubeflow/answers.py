"""What a server of Kubeflow Pipelines answers, as far as it is read; fields that are not named here are let be.

The names are the API's own (v2beta1). It says "never" by the first second of 1970, and in tasks of year 1.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
"""States that a run does not leave by itself."""


def _time(value: object) -> object:
    return None if isinstance(value, str) and value[:4] in ("1970", "0001") else value


Time = Annotated[datetime | None, BeforeValidator(_time)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Nothing(_Answer):
    """An answer without content: what says anything else does not say that it was done."""

    model_config = ConfigDict(extra="forbid")


class Health(_Answer):
    multi_user: bool = False
    """Whether namespaces divide its users."""


class Pipeline(_Answer):
    pipeline_id: str
    display_name: str


class PipelineVersion(_Answer):
    pipeline_id: str
    pipeline_version_id: str
    display_name: str
    """We name a version by the digest of what it is."""


class Versions(_Answer):
    pipeline_versions: tuple[PipelineVersion, ...] = ()
    next_page_token: str = ""


class Experiment(_Answer):
    experiment_id: str
    display_name: str
    storage_state: str = "AVAILABLE"


class Experiments(_Answer):
    experiments: tuple[Experiment, ...] = ()
    next_page_token: str = ""


class Problem(_Answer):
    """Why something failed."""

    code: int = 0
    message: str = ""


class Task(_Answer):
    """One node of a run: a driver, an executor, a step as a person named it, or something without a name."""

    display_name: str = ""
    state: str = ""
    start_time: Time = None
    end_time: Time = None
    error: Problem | None = None


class RunDetails(_Answer):
    task_details: tuple[Task, ...] = ()


class KubeflowRun(_Answer):
    run_id: str
    display_name: str
    experiment_id: str = ""
    state: str = "PENDING"
    created_at: Time = None
    finished_at: Time = None
    error: Problem | None = None
    run_details: RunDetails = RunDetails()

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Runs(_Answer):
    runs: tuple[KubeflowRun, ...] = ()
    next_page_token: str = ""


class RecurringRun(_Answer):
    recurring_run_id: str
    display_name: str
    status: str = ""
    """ENABLED or DISABLED."""

    trigger: dict[str, Any] = {}


class RecurringRuns(_Answer):
    recurringRuns: tuple[RecurringRun, ...] = ()  # the API's own word
    next_page_token: str = ""
