"""This machine's processes of a step that several machines carry out together: ``python -m shoploop.runs together ...``.

The words after ``together`` are those of ``run``. The processes are started by torchrun, whom the Kubeflow Trainer tells how
many there are, and where all meet (its variables begin with PET_). The first process of all carries the steps out as the pod
of a Job would, and tells how far it is in lines of its log, which the operator reads; the others take part
(:func:`shoploop.runs.pod.accompany`). It must not know what the steps are.
"""

import os
import signal
from collections.abc import Sequence

from shoploop import progress

VERB = "together"
EVENTS = "/dev/stdout"
"""Where events go, unless somebody names a file: what a step says of itself is in its pod's log."""


def take_part(arguments: Sequence[str]) -> int:
    """Starts the processes and waits for them.

    Args:
        arguments: Of the verb ``run`` of :mod:`shoploop.runs.pod`.

    Returns:
        The exit code of the process that failed first; a signal counts as shells count it.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    os.environ.setdefault(progress.VARIABLE, EVENTS)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        asked = parse_args(["-m", "shoploop.runs"])  # type: ignore[no-untyped-call]
        asked.training_script_args = ["run", *arguments]  # torchrun would take --run for one of its own
        run(asked)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return 128 - code if code < 0 else code or 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0
