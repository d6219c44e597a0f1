"""The steps of a run: what each reads, writes and depends on, and how one is carried out.

The same table drives the laptop (kfp.local), Kubeflow Pipelines (``components/``) and plain Kubernetes Jobs
(``python -m shoploop.runs``). A step reads and writes folders with files of a declared schema, so any of them runs
alone. It must not know which of the three started it.
"""

from shoploop.steps.index import Entry, Index
from shoploop.steps.keys import settings_of, step_keys
from shoploop.steps.running import RUN_VARIABLE, Membership, run_step
from shoploop.steps.table import PRODUCER, STEPS, Call, Step, needed_by, not_asked_for
from shoploop.steps.workspace import Workspace, home_of, sizes_of

__all__ = [
    "PRODUCER",
    "RUN_VARIABLE",
    "STEPS",
    "Call",
    "Entry",
    "Index",
    "Membership",
    "Step",
    "Workspace",
    "home_of",
    "needed_by",
    "not_asked_for",
    "run_step",
    "settings_of",
    "sizes_of",
    "step_keys",
]
