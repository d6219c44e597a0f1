"""Which version should serve, by what the gate said and what the spec pins; pure."""

from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.versions import Version


def target_of(situation: Situation, versions: tuple[Version, ...]) -> Version | Found | None:
    """The version that should serve; a reason where the pinned one is not there; None where there is none.

    A verdict that lets a version serve promotes it, as an entry of a log: of several versions the one that passed last
    serves. A later refusal demotes nothing that serves, but nobody goes back to a version that was refused last.
    """
    spec = situation.spec
    if spec.serving.pinned_version:
        pinned = [version for version in versions if version.id == spec.serving.pinned_version]
        known = ", ".join(version.id for version in versions) or "none"
        return pinned[0] if pinned else say("VersionNotFound", version=spec.serving.pinned_version, known=known)
    serves = situation.status.get("version") or (situation.release.version if situation.release else None)
    current = next((version for version in versions if version.id == serves and version.packages), None)
    if spec.suspend and current:
        return current
    passed = [
        (verdict.time, verdict.run, version.id, version)
        for version in versions
        if version.packages and (verdict := version.passed_last) and (version is current or version.verdict is verdict)
    ]
    return max(passed)[-1] if passed else current
