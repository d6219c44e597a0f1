"""Folders as ``.bento`` archives (tar, xz), equal bytes for equal content."""

import lzma
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import Final

from shoploop.errors import ArtifactCorrupt
from shoploop.store import disk

COMPRESSION: Final = 1
"""Of xz, 0 to 9. Weights hardly shrink at any level, and the higher ones take a minute."""


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


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a ``.bento`` archive aside and renames it to ``folder`` when it is whole.

    Raises:
        ArtifactCorrupt: it is no such archive, or a name in it leads out of the folder.
    """
    try:
        with disk.whole_folder(folder) as aside, tarfile.open(archive, "r:xz") as tar:
            for member in tar:
                _extract(tar, member, aside)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise ArtifactCorrupt(f"{archive} is no whole .bento archive: {error}. Copy or build it again.") from error


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
