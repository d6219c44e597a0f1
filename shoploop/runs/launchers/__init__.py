"""Launchers: what carries out a run that somebody asked for."""

from shoploop.runs.launchers.launcher import Launcher, Look, Progress, StepFailed, follow
from shoploop.runs.launchers.this_machine import AnotherRun, ThisMachine

__all__ = ["AnotherRun", "Launcher", "Look", "Progress", "StepFailed", "ThisMachine", "follow"]
