"""A run: planned once, carried out by a launcher, with one record and one result wherever that is."""

from shoploop.runs.finishing import finish, publish, write_report
from shoploop.runs.launchers import AnotherRun, Launcher, Look, StepFailed, ThisMachine, follow, is_broken_off
from shoploop.runs.planning import Plan, Run, check_space, make_plan, new_run, open_plan, open_store, read_plan
from shoploop.runs.record import Journal, Record, Unreadable, folder_of, list_runs, read_record

__all__ = [
    "AnotherRun",
    "Journal",
    "Launcher",
    "Look",
    "Plan",
    "Record",
    "Run",
    "StepFailed",
    "ThisMachine",
    "Unreadable",
    "check_space",
    "finish",
    "folder_of",
    "follow",
    "is_broken_off",
    "list_runs",
    "make_plan",
    "new_run",
    "open_plan",
    "open_store",
    "publish",
    "read_plan",
    "read_record",
    "write_report",
]
