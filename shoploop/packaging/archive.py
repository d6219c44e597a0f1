"""Folders as ``.bento`` archives (tar, xz), equal bytes for equal content."""

import hashlib
import lzma
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final, cast

from shoploop.errors import ArtifactCorrupt
from shoploop.store import disk

COMPRESSION: Final = 1
"""Of xz, 0 to 9. Weights hardly shrink at any level, and the higher ones take a minute."""

CHUNK_BYTES = 2**20


def pack(folder: Path, archive: Path) -> None:
    """Packs the files below ``folder`` in sorted order, without times and owners, aside and renamed when whole."""
    with disk.whole_path(archive) as aside, tarfile.open(aside, "w:xz", preset=COMPRESSION) as tar:
        for path in sorted(folder.rglob("*")):
            info = tar.gettarinfo(path, path.relative_to(folder).as_posix())
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            info.mode = 0o755 if info.isdir() else 0o644
            if info.isfile():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)


def unpack(archive: Path, folder: Path, *, sha256: str) -> None:
    """Unpacks a ``.bento`` archive aside and renames it to ``folder`` when it is whole.

    Nothing is unpacked before the file has the digest; what is unpacked is hashed once more on its way, so that not even
    a file that changes in between gets through.

    Args:
        archive: The file.
        folder: To make.
        sha256: Of the archive, in hexadecimal.

    Raises:
        ArtifactCorrupt: it has another digest, is no such archive, or a name in it leads out of the folder.
    """
    _expect(archive, sha256, disk.digest_of(archive))
    try:
        with disk.whole_folder(folder) as aside, archive.open("rb") as file:
            content = _Hashed(file)
            with lzma.LZMAFile(cast(IO[bytes], content)) as plain:
                with tarfile.open(fileobj=plain, mode="r|") as tar:  # as a stream: nothing is read twice
                    for member in tar:
                        _extract(tar, member, aside)
                while plain.read(CHUNK_BYTES):  # what follows the last member is signed too
                    pass
            _expect(archive, sha256, content.digest.hexdigest())
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise ArtifactCorrupt(f"{archive} is no whole .bento archive: {error}. Copy or build it again.") from error


class _Hashed:
    """A file that hashes what is read of it."""

    def __init__(self, file: BinaryIO):
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _expect(archive: Path, wanted: str, found: str) -> None:
    if found != wanted:
        raise ArtifactCorrupt(
            f"{archive.name} has sha256 {found}, and {wanted} was asked for. It was altered or damaged: run again to "
            "package it, or name another version."
        )


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """One file or folder of an archive. tarfile's own filter came with Python 3.11.4, and Debian 12 has 3.11.2."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder below the archive's own")
    target = folder / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
