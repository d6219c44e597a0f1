"""Where the folders that speak to an outside tool lie: ``components``, ``pipelines``, ``serving`` and ``feature_repo``.

The library never imports them; it starts processes in this folder.
"""

from pathlib import Path


def shells_folder() -> Path:
    """The repository's root in a checkout, ``shoploop/_shells`` in an installed wheel."""
    package = Path(__file__).resolve().parent
    packed = package / "_shells"
    return packed if packed.is_dir() else package.parent
