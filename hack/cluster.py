"""A Kubernetes on this machine: kubebox, which SHOPLOOP_KUBEBOX names, with shoploop's image in it.

    python hack/cluster.py images     build the one image that plays all roles, on kubebox's Debian
    python hack/cluster.py up         start afresh, and load that image
    python hack/cluster.py down       stop and free everything; images are kept for the next time

`up` ends with a line for the shell: eval "$(... env)" puts kubectl and helm on the PATH and sets KUBECONFIG.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import images

IMAGE = "localhost/shoploop:test"
BASE = "localhost/debian:12"
VOLUMES = 8


def main() -> None:
    verbs = {"images": build, "up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]]()


def kubebox(*args: str) -> str:
    program = os.environ.get("SHOPLOOP_KUBEBOX")
    if not program:
        sys.exit("SHOPLOOP_KUBEBOX is not set: it names the kubebox script that brings a cluster up and down.")
    return subprocess.run([program, *args], check=True, text=True, stdout=subprocess.PIPE).stdout


def environment() -> dict[str, str]:
    """The variables that kubebox's `env` sets."""
    lines = [line.removeprefix("export ") for line in kubebox("env").splitlines()]
    found = dict(line.split("=", 1) for line in lines)
    return found | {"PATH": found["PATH"].replace("$PATH", os.environ["PATH"])}


def build() -> None:
    """Builds the image, with kubebox's own helm and Debian; what is there already is kept."""
    kubebox("install")
    home = Path(environment()["KUBECONFIG"]).parent
    if not (home / "bin" / "helm").exists():
        up_and_down()
    os.environ["PATH"] = environment()["PATH"]
    if not named(BASE):
        (home / "run").mkdir(parents=True, exist_ok=True)
        kubebox("base", BASE)
    begun = time.monotonic()
    images.build("everything", IMAGE, base=BASE, tool="buildah")
    print(f"{IMAGE}: built in {time.monotonic() - begun:.0f} s")


def up_and_down() -> None:
    """kubebox unpacks its programs when it starts for the first time."""
    kubebox("up", "--control-plane")
    kubebox("down")


def up() -> None:
    """Starts kubebox afresh and loads the image into it."""
    kubebox("down")
    kubebox("up")
    make_volumes_writable(Path(environment()["KUBECONFIG"]).parent / "volumes")
    if not named(IMAGE):
        build()
    load()
    print(f'eval "$({os.environ["SHOPLOOP_KUBEBOX"]} env)"')


def down() -> None:
    kubebox("down")


def make_volumes_writable(folder: Path) -> None:
    """A real volume is handed to the pod's group; kubebox's are folders of root, and the pods are never root."""
    for number in range(VOLUMES):
        volume = folder / str(number)
        volume.mkdir(parents=True, exist_ok=True)
        volume.chmod(0o777)


def load() -> None:
    """Hands the built image to the cluster's container runtime, unless it has the very same already."""
    begun = time.monotonic()
    if named(IMAGE) in kubebox("images").split():
        return
    archive = images.CONTEXT / "image.tar"
    archive.unlink(missing_ok=True)
    try:
        subprocess.run(["buildah", "push", "-q", IMAGE, f"docker-archive:{archive}:{IMAGE}"], check=True)
        kubebox("load", str(archive))
    finally:
        archive.unlink(missing_ok=True)
    print(f"{IMAGE}: loaded in {time.monotonic() - begun:.0f} s")


def named(image: str) -> str:
    """The id of a built image; empty where there is none."""
    command = ["buildah", "inspect", "--type=image", "--format={{.FromImageID}}", image]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"sha256:{done.stdout.strip()}" if done.returncode == 0 else ""


if __name__ == "__main__":
    main()
