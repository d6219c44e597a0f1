"""A Kubernetes on this machine: kubebox, which SHOPLOOP_KUBEBOX names, with shoploop's image in it.

    python hack/cluster.py images     build the one image that plays all roles, on kubebox's Debian
    python hack/cluster.py up         start afresh, and load that image
    python hack/cluster.py down       stop and free everything; images are kept for the next time

`up` ends with a line for the shell: eval "$(... env)" puts kubectl and helm on the PATH and sets KUBECONFIG.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
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
    layout = images.CONTEXT / "layout"
    subprocess.run(["buildah", "push", "-q", "--disable-compression", IMAGE, f"oci:{layout}:{IMAGE}"], check=True)
    archive = images.CONTEXT / "image.tar"
    try:
        write_archive(layout, archive, without=held_blobs())
        kubebox("load", str(archive))
    finally:
        archive.unlink(missing_ok=True)
    print(f"{IMAGE}: loaded in {time.monotonic() - begun:.0f} s")


def write_archive(layout: Path, archive: Path, *, without: set[str]) -> None:
    """An OCI archive of the image in a layout, less the layers that the cluster holds: they are gigabytes."""
    (described,) = (
        one
        for one in json.loads((layout / "index.json").read_text())["manifests"]
        if one["annotations"]["org.opencontainers.image.ref.name"] == IMAGE
    )
    index = {"schemaVersion": 2, "manifests": [described | {"annotations": {"io.containerd.image.name": IMAGE}}]}
    manifest = json.loads(blob(layout, described["digest"]).read_text())
    blobs = {described["digest"], *(one["digest"] for one in (manifest["config"], *manifest["layers"]))}
    for kept in layout.glob("blobs/sha256/*"):
        if f"sha256:{kept.name}" not in blobs:
            kept.unlink()
    with tarfile.open(archive, "w") as tar:
        for name, body in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
            content = json.dumps(body).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for digest in sorted(blobs - without):
            tar.add(blob(layout, digest), f"blobs/sha256/{digest.removeprefix('sha256:')}")


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def held_blobs() -> set[str]:
    """Digests of what the cluster's container runtime holds."""
    socket = Path(environment()["KUBECONFIG"]).parent / "run" / "containerd.sock"
    command = ["ctr", f"--address={socket}", "--namespace=k8s.io", "content", "ls", "--quiet"]
    return set(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split())


def named(image: str) -> str:
    """The id of a built image; empty where there is none."""
    command = ["buildah", "inspect", "--type=image", "--format={{.FromImageID}}", image]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"sha256:{done.stdout.strip()}" if done.returncode == 0 else ""


if __name__ == "__main__":
    main()
