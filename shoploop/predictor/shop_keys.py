"""Keys of a shop's own servers, and those that its pages may hold, from a folder, as they are now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shoploop.errors import ShoploopError
from shoploop.events.keyring import Keyring
from shoploop.events.watched import Complaints, Watched
from shoploop.predictor.feedback_settings import PUBLISHABLE_KEYS, SERVER_KEYS


class Unauthorized(ShoploopError):
    """Who asks is not let in; ``code`` is for programs, None for the usual one of the status."""

    def __init__(self, status: int, message: str, *, code: str | None = None):
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Holder:
    """Whose key was presented."""

    id: str
    is_server: bool
    """It is the shop's own server; else one of its pages."""


@dataclass(frozen=True)
class _Publishable:
    id: str
    key: str = field(repr=False)
    origins: tuple[str, ...]


class ShopKeys:
    """One instance serves all threads of a process."""

    def __init__(self, folder: Path):
        """
        Args:
            folder: With ``server/`` and ``publishable/``; what is not there holds no key.
        """
        self._server = Keyring(folder / SERVER_KEYS, may_be_empty=True)
        complaints = Complaints()
        self._publishable: Watched[tuple[_Publishable, ...]] = Watched(
            lambda: _publishable_keys(folder / PUBLISHABLE_KEYS, complaints),
            (),
            errors=(OSError,),
            goes_on=lambda _, error: f"{error} The publishable keys that were read before go on.",
            looked=False,
        )

    def holder(self, key: str, origin: str) -> Holder | None:
        """Whose key it is; None where it is none of these.

        Args:
            key: As it was presented.
            origin: Of the page that asks, as its browser says; empty where there is none.

        Raises:
            Unauthorized: 403 for a page's key that this origin may not use.
        """
        if found := self._server.holds(key.encode()):
            return Holder(found.id, is_server=True)
        for publishable in self._publishable.now:
            if publishable.key == key:
                if origin not in publishable.origins:
                    raise Unauthorized(403, f"This key may not be used from {origin or 'a request without an origin'}.")
                return Holder(publishable.id, is_server=False)
        return None


def bearer(headers: Mapping[str, str]) -> str | None:
    """What comes as ``authorization: Bearer ...``; None where nothing does.

    Raises:
        Unauthorized: 401, it comes in another way.
    """
    scheme, _, presented = headers.get("authorization", "").partition(" ")
    if not presented.strip():
        return None
    if scheme.lower() != "bearer":
        raise Unauthorized(401, "Send the key as: authorization: Bearer <key>.")
    return presented.strip()


def _publishable_keys(folder: Path, complaints: Complaints) -> tuple[_Publishable, ...]:
    """Each file is judged by itself: one that is no key keeps none alive that was taken away."""
    found, bad = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text())
            origins = document["origins"]
            if not isinstance(origins, list):  # a text would be taken for a list of its letters, and let nobody in
                raise TypeError
            found.append(_Publishable(path.stem, str(document["key"]), tuple(map(str, origins))))
        except FileNotFoundError:
            continue  # it was taken away just now
        except (OSError, ValueError, KeyError, TypeError):
            bad.append(f"{path} is no publishable key: it needs key and a list of origins. It is passed over.")
    complaints.tell(bad)
    return tuple(found)
