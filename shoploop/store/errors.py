"""What obstore says went wrong, in our words: what happened to which object, and what to do.

It must not know how a store is opened or what lies in it.
"""

import re
import time
import urllib.error
import urllib.request
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

from shoploop.errors import AlreadyExists, NotFound, StoreUnavailable, first_line
from shoploop.store import disk

_CREDENTIALS = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the Secret that spec.store.secretRef names."
S3_ANSWERS = {
    "NoSuchBucket": "the bucket does not exist. Create it, or name another in spec.store.uri or with --store.",
    "AccessDenied": f"the server refuses these credentials what was asked. {_CREDENTIALS}",
    "InvalidAccessKeyId": f"the server does not know the access key. {_CREDENTIALS}",
    "SignatureDoesNotMatch": f"the secret key is not the access key's. {_CREDENTIALS}",
}
"""Error codes that a person can mend, of the S3 API's error responses."""

SKEWED = "RequestTimeTooSkewed"
"""What was signed is of another time than the server's: no matter of credentials, though the status is theirs, 403."""

CLOCK_SECONDS = 2.0
"""That a server may take to tell its time."""

_CODE = re.compile(r"<Code>(\w+)</Code>")
_ASKED = re.compile(r"Error performing \w+ (https?://\S+)")


class named_errors:
    """Context in which obstore's errors become ours, with the object's URL."""

    def __init__(self, url: str):
        self.url = url

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        from obstore import exceptions

        if not isinstance(error, exceptions.BaseError | OSError):
            return
        code = _CODE.search(str(error))
        if code and code[1] == SKEWED:
            raise StoreUnavailable(f"{self.url}: {_skewed(str(error))}") from error
        if code and code[1] in S3_ANSWERS:
            raise StoreUnavailable(f"{self.url}: {S3_ANSWERS[code[1]]}") from error
        if isinstance(error, exceptions.AlreadyExistsError):
            raise AlreadyExists(f"{self.url} is there already: another writer was first.") from error
        if isinstance(error, exceptions.NotFoundError | FileNotFoundError):
            raise NotFound(f"{self.url} does not exist.") from error
        if disk.is_full(error) and (folder := _nearest(self.url)):
            raise disk.full_error(f"What writes {self.url}", folder) from error
        raise StoreUnavailable(f"{self.url}: {first_line(error)}") from error


def _skewed(told: str) -> str:
    """What to say where the server's clock and this machine's are too far apart; ``told`` is what obstore says of it."""
    asked = _ASKED.search(told)
    ahead = _seconds_ahead(asked[1]) if asked else None
    apart = "This machine's clock and the server's are too far apart"
    if ahead is not None:
        apart = f"This machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    return (
        f"{apart}, so the server refuses what is signed here; the credentials may be right. Set the one that is off, by NTP: "
        "`timedatectl` tells whether this machine's is."
    )


def _seconds_ahead(url: str) -> float | None:
    """How far this machine's clock is ahead of a server's; None where that does not tell its time. Every answer does, also
    the refusal of who sends no signature."""
    with suppress(OSError, ValueError, TypeError):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url.partition("?")[0], method="HEAD"), timeout=CLOCK_SECONDS
            ) as answer:
                date = answer.headers["date"]
        except urllib.error.HTTPError as refusal:
            date = refusal.headers["date"]
        return time.time() - parsedate_to_datetime(date).timestamp()
    return None


def _nearest(url: str) -> Path | None:
    """The folder of this machine that an object of a local store would be written to, as far as it is there."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    return next(parent for parent in Path(unquote(parts.path)).parents if parent.is_dir())
