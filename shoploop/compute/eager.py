"""Training without torch's compiler and its symbolic shapes, which nothing here uses.

Every optimiser of torch imports ``torch._dynamo`` to tell it that it need not look inside, and every attention with padding
imports ``torch.fx.experimental.symbolic_shapes``, and sympy with it, to ask whether True is true. That takes two and a half
seconds in each process that trains, as long as all else of a small step, and brings well over a thousand modules. Stand-ins
say that there is nothing to tell, and that what is true is true; who asks them for anything else gets the real ones.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"
SHAPES = "torch.fx.experimental.symbolic_shapes"


class _StandIn(ModuleType):
    """In the place of a module until somebody wants more of it than this offers."""

    _is_package = False

    def __init__(self, name: str, load: Callable[[], None]):
        """
        Args:
            name: Of the module.
            load: Imports it; a statement says which, so that the code's digest sees it.
        """
        super().__init__(name)
        self._load = load

    def __getattr__(self, name: str) -> Any:
        sought = name == "__path__" and self._is_package  # where a submodule is looked for
        if name.startswith("__") and not sought:  # what Python asks any module
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
            self._load()
        return getattr(sys.modules[self.__name__], name)


class _Compiler(_StandIn):
    """In the place of ``torch._dynamo`` until somebody wants to compile."""

    _is_package = True

    def graph_break(self, *_: Any, **__: Any) -> None:
        """There is no graph."""

    def disable(self, function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
        """What is never compiled stays as it is."""
        return (lambda wrapped: wrapped) if function is None else function


class _Shapes(_StandIn):
    """In the place of ``torch.fx.experimental.symbolic_shapes`` as long as every size is a number."""

    def expect_true(self, found: Any, skip: int = 0) -> Any:
        """What is plainly true or false says so itself."""
        if isinstance(found, bool):
            return found
        return self.__getattr__("expect_true")(found, skip + 1)


def _load_compiler() -> None:
    import torch._dynamo  # noqa: F401


def _load_shapes() -> None:
    import torch.fx.experimental.symbolic_shapes  # noqa: F401


def spare_compiler() -> None:
    """From now on this process trains without torch's compiler and symbolic shapes, each unless it is loaded already."""
    import torch

    if NAME not in sys.modules:
        sys.modules[NAME] = torch._dynamo = _Compiler(NAME, _load_compiler)
    if SHAPES not in sys.modules:
        sys.modules[SHAPES] = _Shapes(SHAPES, _load_shapes)
