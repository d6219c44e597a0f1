"""Training without torch's compiler, which nothing here uses.

Every optimiser of torch imports ``torch._dynamo`` to tell it that it need not look inside. That takes two seconds in each
process that trains, as long as all else of a small step, and brings eight hundred modules. A stand-in says there is
nothing to tell; who asks it for anything else gets the real one.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"


class _Compiler(ModuleType):
    """In the place of ``torch._dynamo`` until somebody wants to compile."""

    def graph_break(self, *_: Any, **__: Any) -> None:
        """There is no graph."""

    def disable(self, function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
        """What is never compiled stays as it is."""
        return (lambda wrapped: wrapped) if function is None else function

    def __getattr__(self, name: str) -> Any:
        if (
            name.startswith("__") and name != "__path__"
        ):  # what Python asks any module; a submodule is sought in the path
            raise AttributeError(name)
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
            import torch._dynamo  # noqa: F401
        return getattr(sys.modules[NAME], name)


def spare_compiler() -> None:
    """From now on optimisers of this process do without torch's compiler, unless it is loaded already."""
    import torch

    if NAME not in sys.modules:
        sys.modules[NAME] = torch._dynamo = _Compiler(NAME)
