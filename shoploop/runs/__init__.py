"""A run on this machine: which steps are due, carrying them out, and what is kept of it."""

from shoploop.runs.executing import AnotherRun, StepFailed, execute
from shoploop.runs.finishing import finish, publish, write_report
from shoploop.runs.planning import check_space, keys_and_incumbent, open_store, plan
from shoploop.runs.record import Run, folder_of, home_of, list_runs

__all__ = [
    "AnotherRun",
    "Run",
    "StepFailed",
    "check_space",
    "execute",
    "finish",
    "folder_of",
    "home_of",
    "keys_and_incumbent",
    "list_runs",
    "open_store",
    "plan",
    "publish",
    "write_report",
]
