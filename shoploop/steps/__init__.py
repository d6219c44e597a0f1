"""The steps of a run: what each reads, writes and depends on, and how one is carried out.

The same table drives the laptop (kfp.local), Kubeflow Pipelines (``components/``) and plain Kubernetes Jobs
(``python -m shoploop.steps``). A step reads and writes folders with files of a declared schema, so any of them runs
alone. It must not know which of the three started it.
"""

from shoploop.steps.index import Entry
from shoploop.steps.keys import settings_of, step_keys
from shoploop.steps.running import INDEX_VARIABLE, run_step
from shoploop.steps.table import PRODUCER, STEPS, Call, Step, needed_by

__all__ = [
    "INDEX_VARIABLE",
    "PRODUCER",
    "STEPS",
    "Call",
    "Entry",
    "Step",
    "needed_by",
    "run_step",
    "settings_of",
    "step_keys",
]
