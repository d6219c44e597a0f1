"""A version's model, loaded and verified, or the named reason why it cannot be."""

from pathlib import Path

from shoploop.errors import ArtifactForeign
from shoploop.versions.artifact import Version, load_version
from shoploop.versions.trained import TrainedModel


def load_trained(folder: Path, *, expected: str | None = None) -> tuple[Version, TrainedModel]:
    """The version in ``folder``, and its model.

    Args:
        folder: A version's folder.
        expected: The id that it must have; None takes any.

    Raises:
        ArtifactCorrupt: it was altered.
        ArtifactForeign: it is none, or holds another model than this shoploop builds.
    """
    version = load_version(folder, expected=expected)
    try:
        return version, TrainedModel.of_version(version)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactForeign(
            f"Version {version.id} in {folder} holds another model than this shoploop builds: {error}. "
            "Use the shoploop that wrote it, or train a new version."
        ) from error
