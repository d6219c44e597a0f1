"""What a server of Kubeflow Pipelines may answer instead of what was asked for; each says what to do.

::

    KubeflowError
    ├── KubeflowUnreachable    nobody answers, or not in time
    ├── KubeflowBusy           429, 502, 503, 504: it asks us to come again
    ├── KubeflowLogin          401, or it sends us to a login page
    ├── KubeflowForbidden      403
    ├── KubeflowMissing        404: it has no such thing, or no longer
    ├── KubeflowConflict       409: there is one of that name
    ├── KubeflowRefused        400 and the like: what we sent is wrong
    ├── KubeflowFailed         500: which may be what we sent, too
    └── KubeflowUnreadable     no answer of this API: a page, half an answer, other fields
"""

from shoploop.errors import ShoploopError


class KubeflowError(ShoploopError):
    """Base of them."""

    exit_code = 2
    passes = False
    """Whether asking again later may help."""

    def __init__(self, message: str, *, perhaps_done: bool = False, after_seconds: float = 0.0):
        """
        Args:
            perhaps_done: Whether the server may have done what it was asked for, though its answer did not arrive.
            after_seconds: How long it asks us to wait.
        """
        super().__init__(message)
        self.perhaps_done, self.after_seconds = perhaps_done, after_seconds


class KubeflowUnreachable(KubeflowError):
    exit_code = 1
    passes = True


class KubeflowBusy(KubeflowError):
    exit_code = 1
    passes = True


class KubeflowLogin(KubeflowError):
    pass


class KubeflowForbidden(KubeflowError):
    pass


class KubeflowMissing(KubeflowError):
    pass


class KubeflowConflict(KubeflowError):
    pass


class KubeflowRefused(KubeflowError):
    pass


class KubeflowFailed(KubeflowError):
    pass


class KubeflowUnreadable(KubeflowError):
    def __init__(self, message: str, *, perhaps_done: bool = False, passes: bool = False):
        super().__init__(message, perhaps_done=perhaps_done)
        self.passes = passes
