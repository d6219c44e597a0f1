"""How a log's server is proved to us, and we to it: a folder of files, as a Secret is mounted.

``username`` and ``password`` are asked for at every connection, so that they are exchanged without a restart where the client
library allows it (Redis). ``ca.crt`` holds the certificates of a private authority.
"""

from dataclasses import dataclass
from pathlib import Path

from shoploop.api.online import EventLogSpec
from shoploop.events.log import LogUnavailable

USERNAME, PASSWORD, AUTHORITY = "username", "password", "ca.crt"


@dataclass(frozen=True)
class Access:
    """What a spec asks for, read from a folder."""

    spec: EventLogSpec
    folder: Path | None

    @property
    def authority(self) -> Path | None:
        """Certificates of a private authority; None where the usual ones are trusted.

        Raises:
            LogUnavailable: they are not there.
        """
        if self.folder is None or self.spec.tls is None or self.spec.tls.ca_ref is None:
            return None
        file = self.folder / AUTHORITY
        if not file.is_file():
            raise LogUnavailable(f"{file}, the certificates of the authority of the log's server, is missing.")
        return file

    def credentials(self) -> tuple[str | None, str] | None:
        """Username, where there is one, and password; None where neither is asked for.

        Raises:
            LogUnavailable: the password is not there.
        """
        if self.spec.secret_ref is None or self.folder is None:
            return None
        password = self._text(PASSWORD)
        if password is None:
            raise LogUnavailable(
                f"{self.folder / PASSWORD} is missing or empty: Secret {self.spec.secret_ref.name} needs the key {PASSWORD}."
            )
        return self._text(USERNAME), password

    def _text(self, name: str) -> str | None:
        assert self.folder is not None
        try:
            return (self.folder / name).read_text().strip() or None
        except (OSError, UnicodeDecodeError):
            return None
