"""Builds the images from one recipe, images/Dockerfile, with docker or buildah.

    python hack/images.py                 operator, pipeline and serving
    python hack/images.py everything      one image for all roles, as the cluster tests use it

The wheels are fetched by this interpreter's pip, pinned by constraints.txt, so that the build itself needs no network.
They lie in .cache/images and are fetched anew only when constraints.txt or pyproject.toml change.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTEXT = ROOT / ".cache" / "images"
PRODUCT = ["operator", "pipeline", "serving"]
EXTRAS = {"operator": ["operator"], "pipeline": ["pipeline", "postgres"], "serving": ["serving"]}
"""What each role installs; a step may read its tables from Postgres."""

EXTRAS["everything"] = [extra for role in PRODUCT for extra in EXTRAS[role]]
WITH_HELM = {"operator", "everything"}
OLDER_PYTHON = ["async-timeout==5.0.1"]
"""Wheels that Python before 3.11.3 (Debian 12 has 3.11.2) needs too: redis wants this one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=f"of {', '.join(EXTRAS)}; default: all but the last")
    parser.add_argument("--base", help="base image with Python 3.11; default: as in images/Dockerfile")
    parser.add_argument("--prefix", default="shoploop/", help="what stands before the role in an image's name")
    parser.add_argument("--tag", default=project()["version"], help="default: the project's version")
    parser.add_argument("--tool", choices=["docker", "buildah"], help="default: docker where its daemon answers")
    args = parser.parse_args()
    if unknown := set(args.roles) - set(EXTRAS):
        parser.error(f"unknown role {', '.join(sorted(unknown))}; known: {', '.join(EXTRAS)}")
    for role in args.roles or PRODUCT:
        print(build(role, f"{args.prefix}{role}:{args.tag}", base=args.base, tool=args.tool))


def build(role: str, name: str, *, base: str | None = None, tool: str | None = None) -> str:
    """Builds the image of ``role``, names it ``name``, and returns the name."""
    tool = tool or ("docker" if docker_answers() else "buildah")
    if not shutil.which(tool):
        sys.exit(f"{tool} is not installed: install docker or buildah, one of which builds the images.")
    wheels = write_wheels()
    application = write_application()
    write_files(role)
    arguments = {"ROLE": role, "WHEELS_DIGEST": wheels, "APPLICATION_DIGEST": application}
    command = ["docker", "build"] if tool == "docker" else ["buildah", "bud", "--isolation=chroot", "--layers"]
    for key, value in (arguments | ({"BASE": base} if base else {})).items():
        command += ["--build-arg", f"{key}={value}"]
    run(*command, "-q", "-t", name, "-f", ROOT / "images" / "Dockerfile", CONTEXT)
    return name


def write_wheels() -> str:
    """Fetches the wheels of all roles unless they are there, and returns a digest of what they were chosen by."""
    chosen_by = digest(ROOT / "constraints.txt", text=repr([OLDER_PYTHON, *(requirements(role) for role in EXTRAS)]))
    wheels = CONTEXT / "wheels"
    stamp = wheels / ".chosen-by"
    (CONTEXT / "requirements").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "constraints.txt", CONTEXT)
    shutil.copy(ROOT / "hack" / "sbom.py", CONTEXT)
    for role in EXTRAS:
        (CONTEXT / "requirements" / f"{role}.txt").write_text("\n".join(requirements(role)) + "\n")
    if not (stamp.exists() and stamp.read_text() == chosen_by):
        shutil.rmtree(wheels, ignore_errors=True)
        everything = CONTEXT / "requirements" / "everything.txt"
        run(*pip("wheel"), "-w", wheels, "-c", ROOT / "constraints.txt", "-r", everything, *OLDER_PYTHON)
        stamp.write_text(chosen_by)
    return chosen_by


def write_application() -> str:
    """Builds our own wheel and returns its digest: the same sources give the same bytes."""
    folder = CONTEXT / "application"
    shutil.rmtree(folder, ignore_errors=True)
    run(*pip("wheel"), "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    return digest(*folder.iterdir())


def write_files(role: str) -> None:
    """Writes what an image carries besides Python: helm and the chart that the operator installs."""
    folder = CONTEXT / "files" / role
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "licenses").mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", folder / "licenses")
    if role in WITH_HELM:
        helm = shutil.which("helm")
        if helm is None:
            sys.exit("helm is not on the PATH: install Helm 3.18 or later; the operator's image carries it.")
        (folder / "bin").mkdir()
        shutil.copy(helm, folder / "bin" / "helm")
        shutil.copytree(ROOT / "charts" / "recommender", folder / "charts" / "recommender")


def requirements(role: str) -> list[str]:
    extras = project()["optional-dependencies"]
    return sorted({*project()["dependencies"], *(r for extra in EXTRAS[role] for r in extras[extra])})


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def docker_answers() -> bool:
    return bool(shutil.which("docker")) and not subprocess.run(["docker", "info"], capture_output=True).returncode


def pip(verb: str) -> list[str]:
    return [sys.executable, "-m", "pip", verb, "-qq"]


def digest(*files: Path, text: str = "") -> str:
    found = hashlib.sha256(text.encode())
    for file in sorted(files):
        found.update(file.read_bytes())
    return found.hexdigest()


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


if __name__ == "__main__":
    main()
