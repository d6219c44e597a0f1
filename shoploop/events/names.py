"""One string of each name: every message brings strings of its own, and most say the same.

As :func:`sys.intern`, which takes four times as long, since its table holds all that a process ever named.
"""

MOST = 200_000
"""Names that are held, twice a vocabulary; beyond, they are gathered anew. Some 20 MB."""


class Names:
    """Names that were seen; may be used by several threads."""

    def __init__(self, *, most: int = MOST):
        """
        Args:
            most: See :data:`MOST`.
        """
        self._most = most
        self._held: dict[str, str] = {}

    def one(self, name: str) -> str:
        """The string that stands for all that are equal to it."""
        return self._held.get(name) or self._keep(name)

    def all(self, names: list[str]) -> tuple[str, ...]:
        """The same of each."""
        get, keep = self._held.get, self._keep
        return tuple([get(name) or keep(name) for name in names])

    def forget(self) -> None:
        """Holds none from now on; who was told one keeps it."""
        self._held.clear()

    def _keep(self, name: str) -> str:
        if len(self._held) >= self._most:
            self._held.clear()
        return self._held.setdefault(name, name)
