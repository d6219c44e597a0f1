"""Launchers: what carries out a run that somebody asked for."""

from shoploop.runs.launchers.launcher import Launcher, Look, Progress, StepFailed, follow
from shoploop.runs.launchers.this_machine import AnotherRun, ThisMachine, is_broken_off

__all__ = ["AnotherRun", "Launcher", "Look", "Progress", "StepFailed", "ThisMachine", "follow", "is_broken_off"]
