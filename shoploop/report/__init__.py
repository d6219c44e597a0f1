"""The report of a run: one HTML page that a shop person can read, and the same numbers as JSON.

It reads the JSON documents that the steps left in the run folder. It never computes a result, opens a model or a table,
or knows how a step works; what is not there it says is not there.
"""

from shoploop.report.run_report import build

__all__ = ["build"]
