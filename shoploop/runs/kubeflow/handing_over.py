"""A run that somebody hands over to Kubeflow Pipelines and waits for: what a pod of the operator's does.

What the world may mend, such as a token that has expired or a server that is down, is waited for and told meanwhile, as a
line of JSON in the log. It must not know who reads it.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from shoploop.api.pod_result import Result, ResultUnreadable, VersionMade, read
from shoploop.errors import NotFound, ShoploopError
from shoploop.runs.kubeflow.errors import KubeflowError, KubeflowRefused
from shoploop.runs.kubeflow.task import run_page
from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines
from shoploop.runs.launchers.launcher import StepFailed
from shoploop.runs.planning import Run, read_link
from shoploop.steps import STEPS
from shoploop.store import layout

POLL_SECONDS = 10.0
TROUBLE_SECONDS = 30.0
"""Until a server is asked again that did not answer as it should."""

KIND = "kubeflow"
"""Of the lines that are told."""

Found = TypeVar("Found")


def say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


class HandedOver:
    """One run, from here to its end."""

    def __init__(
        self,
        launcher: KubeflowPipelines,
        run: Run,
        *,
        tell: Callable[[dict[str, Any]], None] = say,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.launcher, self.run, self.tell, self.sleep = launcher, run, tell, sleep
        self._told: dict[str, Any] = {}
        self._job: str | None = None
        """What the server calls the run, as far as it is known: the store may be emptied meanwhile."""

    def carry(self) -> Result:
        """Begins the run, or takes it up where somebody has begun it, and waits for its end.

        Raises:
            StepFailed: it failed; the message is the failed step's own.
            ShoploopError: the server refuses what the spec asks for; nothing but another spec mends that.
        """
        try:
            self._patiently(self._begin)
            while True:
                look = self._patiently(lambda: self.launcher.look(self.run))
                done = sum(step.state in ("done", "reused") for step in look.steps.values())
                self._say(state=look.state, done=done, total=len(STEPS))
                if look.state == "done":
                    return self._result()
                if look.failure is not None:
                    raise StepFailed(look.failure.message, look.failure.exit_code)
                if look.state != "running":
                    raise ShoploopError(f"Somebody has cancelled run {self.run.id} at {self.launcher.client.endpoint}.")
                self.sleep(POLL_SECONDS)
        except NotFound:  # the store was emptied, and what goes on would write into it
            self._end()
            raise
        except ShoploopError:
            raise
        except BaseException:  # who waits is told to end, and the run with it
            self._end()
            raise

    def _end(self) -> None:
        """Ends the run at the server, whatever the store still knows of it."""
        try:
            self.launcher.cancel(self.run)
        except KubeflowError:  # who is told to end cannot wait for a server that is away
            pass
        except ShoploopError:
            with suppress(KubeflowError):
                self.launcher.end(self.run, self._job)

    def _begin(self) -> None:
        link = read_link(self.launcher.store, self.run.key)
        if link is None and not self.launcher.adopt(self.run):
            self.launcher.launch(self.run)
        elif link is not None and link["cancelled"]:  # who waited was moved to another node
            self.launcher.resume(self.run)

    def _result(self) -> VersionMade:
        try:
            found = read(self.launcher.store.get(layout.run_result(self.run.key)).decode())
        except (NotFound, ResultUnreadable, UnicodeError) as error:
            raise ShoploopError(
                f"Run {self.run.id} ended well, but what it made is not in the store: {error} Ask for a run."
            ) from error
        if not isinstance(found, VersionMade):
            raise ShoploopError(f"Run {self.run.id} ended well and says {found.kind} where VersionMade belongs.")
        return found

    def _patiently(self, ask: Callable[[], Found]) -> Found:
        """The answer, however long the world takes to mend itself."""
        while True:
            try:
                return ask()
            except KubeflowRefused:
                raise
            except KubeflowError as error:
                self._say(trouble={"reason": type(error).__name__, "message": str(error)})
                self.sleep(max(TROUBLE_SECONDS, error.after_seconds))

    def _say(self, **what: Any) -> None:
        link = read_link(self.launcher.store, self.run.key)
        line = {"kind": KIND, **what}
        if link is not None:
            self._job = link["job"]
            line |= {"id": link["job"], "page": run_page(link["endpoint"], link["job"])}
        if line != self._told:
            self._told = line
            self.tell(line)
