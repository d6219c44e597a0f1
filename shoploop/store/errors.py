"""What obstore says went wrong, in our words: what happened to which object, and what to do.

It must not know how a store is opened or what lies in it.
"""

import re
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

_CODE = re.compile(r"<Code>(\w+)</Code>")


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
        if code and code[1] in S3_ANSWERS:
            raise StoreUnavailable(f"{self.url}: {S3_ANSWERS[code[1]]}") from error
        if isinstance(error, exceptions.AlreadyExistsError):
            raise AlreadyExists(f"{self.url} is there already: another writer was first.") from error
        if isinstance(error, exceptions.NotFoundError | FileNotFoundError):
            raise NotFound(f"{self.url} does not exist.") from error
        if disk.is_full(error) and (folder := _nearest(self.url)):
            raise disk.full_error(f"What writes {self.url}", folder) from error
        raise StoreUnavailable(f"{self.url}: {first_line(error)}") from error


def _nearest(url: str) -> Path | None:
    """The folder of this machine that an object of a local store would be written to, as far as it is there."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    return next(parent for parent in Path(unquote(parts.path)).parents if parent.is_dir())
