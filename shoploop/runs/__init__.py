"""A run: planned once, carried out by a launcher, with one record and one result wherever that is."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    # a step in a process of its own comes through here, and needs none of them
    if name in ("finish", "publish", "write_report"):
        from shoploop.runs import finishing

        return getattr(finishing, name)
    if name in ("AnotherRun", "Launcher", "Look", "StepFailed", "ThisMachine", "follow", "is_broken_off"):
        from shoploop.runs import launchers

        return getattr(launchers, name)
    if name in ("Journal", "Record", "Unreadable", "folder_of", "list_runs", "read_record"):
        from shoploop.runs import record

        return getattr(record, name)
    if name in __all__:
        from shoploop.runs import planning

        return getattr(planning, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
