"""A Kubernetes on this machine: kubebox, which SHOPLOOP_KUBEBOX names, with shoploop's image in it.

    python hack/cluster.py check      say what keeps this machine from having one; exit code 1 if anything does
    python hack/cluster.py images     build the one image that plays all roles, on kubebox's Debian
    python hack/cluster.py up         start afresh, with that image of the code as it now is
    python hack/cluster.py down       stop and free everything; images are kept for the next time

`up` ends with a line for the shell: eval "$(... env)" puts kubectl and helm on the PATH and sets KUBECONFIG.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import images

IMAGE = "localhost/shoploop:test"
BASE = "localhost/debian:12"
VOLUMES = 8


def main() -> None:
    verbs = {"check": check, "images": build, "up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]]()


def kubebox(*args: str, stdin: IO[bytes] | None = None) -> str:
    program = os.environ.get("SHOPLOOP_KUBEBOX")
    if not program:
        sys.exit("SHOPLOOP_KUBEBOX is not set: it names the kubebox script that brings a cluster up and down.")
    return subprocess.run([program, *args], check=True, text=True, stdin=stdin, stdout=subprocess.PIPE).stdout


def begin() -> None:
    """Brings the cluster up; now and then its kubelet asks for containers before there is anybody to answer, and ends."""
    for tries_left in (2, 1, 0):
        try:
            kubebox("up")
            return
        except subprocess.CalledProcessError:
            kubebox("down")
            if not tries_left:
                raise
            print("kubebox: once more", flush=True)


def environment() -> dict[str, str]:
    """The variables that kubebox's `env` sets."""
    lines = [line.removeprefix("export ") for line in kubebox("env").splitlines()]
    found = dict(line.split("=", 1) for line in lines)
    return found | {"PATH": found["PATH"].replace("$PATH", os.environ["PATH"])}


def check() -> None:
    if why := obstacle():
        sys.exit(f"No cluster on this machine: {why}")


def obstacle() -> str | None:
    """What this machine lacks that nobody can install; None where kubebox can run."""
    if not os.environ.get("SHOPLOOP_KUBEBOX"):
        return "SHOPLOOP_KUBEBOX is not set; it names the kubebox script that brings a cluster up and down."
    if os.geteuid() != 0:
        return "kubebox needs root."
    if not Path("/sys/fs/cgroup/memory").is_dir():
        return "kubebox needs cgroup v1."
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True).returncode:
        return "kubebox needs to make network and mount namespaces, which is forbidden here."
    return None


def build() -> None:
    """Builds the image, with kubebox's own helm and Debian; what is there already is kept.

    A running cluster gets it at once. Where there can be no cluster, nothing is built, and that is no error: the tests
    on a cluster skip by themselves.
    """
    if why := obstacle():
        print(f"No image is built, because no cluster can run on this machine: {why}")
        return
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
    if running():
        load()


def up_and_down() -> None:
    """kubebox unpacks its programs when it starts for the first time."""
    kubebox("up", "--control-plane")
    kubebox("down")


def up() -> None:
    """Starts kubebox afresh, with an image of the code as it now is."""
    check()
    kubebox("install")
    kubebox("down")
    begin()
    make_volumes_writable(Path(environment()["KUBECONFIG"]).parent / "volumes")
    build()
    print(f'eval "$({os.environ["SHOPLOOP_KUBEBOX"]} env)"')


def down() -> None:
    kubebox("down")


def running() -> bool:
    return any(line.startswith("containerd") and "running" in line for line in kubebox("status").splitlines())


def make_volumes_writable(folder: Path) -> None:
    """A real volume is handed to the pod's group; kubebox's are folders of root, and the pods are never root."""
    for number in range(VOLUMES):
        volume = folder / str(number)
        volume.mkdir(parents=True, exist_ok=True)
        volume.chmod(0o777)


def load() -> None:
    """Hands the built image to the cluster's container runtime, unless it has the very same already.

    There it also has the names of the product's images, so that charts/shoploop can be installed as it comes.

    Through a pipe: two gigabytes that are written and read at once never reach the disk. The runtime gives the image
    another id than the one it was built with, so a name tells which one it is.
    """
    begun = time.monotonic()
    repository = IMAGE.partition(":")[0]
    mark = f"{repository}:{named(IMAGE).removeprefix('sha256:')[:16]}"
    there = kubebox("images").split()
    if mark in there:
        return
    push = ["buildah", "push", "-q", IMAGE, f"docker-archive:/dev/stdout:{IMAGE}"]
    with subprocess.Popen(push, stdout=subprocess.PIPE) as pushing:
        try:
            kubebox("load", "/dev/stdin", stdin=pushing.stdout)
        except BaseException:
            pushing.kill()  # it holds the pipe's other end open too, so it would wait for ever
            raise
    if pushing.returncode:
        sys.exit(f"buildah could not hand over {IMAGE}.")
    names = [f"docker.io/shoploop/{role}:{images.project()['version']}" for role in images.PRODUCT]
    runtime("tag", "--force", IMAGE, *names, mark)
    if former := [name for name in there if name.startswith(f"{repository}:") and name != IMAGE]:
        runtime("rm", *former)
    print(f"{IMAGE}: loaded in {time.monotonic() - begun:.0f} s")


def runtime(verb: str, *names: str) -> None:
    """Has the cluster's container runtime do something about its images."""
    socket = Path(environment()["KUBECONFIG"]).parent / "run" / "containerd.sock"
    command = ["ctr", f"--address={socket}", "--namespace=k8s.io", "images", verb, *names]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def named(image: str) -> str:
    """The id of a built image; empty where there is none."""
    command = ["buildah", "inspect", "--type=image", "--format={{.FromImageID}}", image]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"sha256:{done.stdout.strip()}" if done.returncode == 0 else ""


if __name__ == "__main__":
    main()
