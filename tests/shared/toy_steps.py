"""The ten steps of a run with next to nothing in them, for tests of what carries steps out rather than of what they do.

A folder, named by SHOPLOOP_TOY, steers them by files. ``fail-<step>`` makes a step fail with the words in it; with
``child-<step>`` it starts a process that works on, with ``fill-<step>`` it writes until the disk is full, with
``hold-<step>`` it waits until the file is gone, and what ``say-<step>`` holds stands in what it writes. ``done.txt`` has a
line for each step that was carried out.
Run as a program it stands for ``pipelines.recommender --local``, with ``pod`` first for ``shoploop.runs``, and with ``cli``
first for ``shoploop``.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from shoploop.errors import DataUnreadable
from shoploop.steps import STEPS, Call, run_step

VARIABLE = "SHOPLOOP_TOY"


GATE = {"rule": "Always", "metric": "ndcg@10", "confidence": 0.95, "passed": True, "reason": "a toy passes"}


class Toy:
    """What a test asks of toy steps, and sees of them."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def prepare(self) -> "Toy":
        """Makes what is too dear to be made in every process: a version that may be published."""
        import pyarrow as pa
        import torch

        from shoploop.versions.artifact import write_version

        write_version(
            self.folder / "model", tensors={"w": torch.zeros(2)}, config={}, contract={}, items=pa.table({"item": ["a"]}),
            lineage={}, metrics={},
        )  # fmt: skip
        return self

    def fail(self, step: str, words: str) -> None:
        (self.folder / f"fail-{step}").write_text(words)

    def hold(self, step: str) -> None:
        (self.folder / f"hold-{step}").touch()

    def say(self, step: str, document: dict) -> None:
        """What its document says from now on."""
        (self.folder / f"say-{step}").write_text(json.dumps(document))

    def start_child(self, step: str) -> None:
        (self.folder / f"child-{step}").touch()

    def child(self) -> int:
        """The process that a step has started."""
        return int((self.folder / "child.txt").read_text())

    def fill(self, step: str) -> None:
        (self.folder / f"fill-{step}").touch()

    def let_go(self) -> None:
        for path in (path for kind in ("fail", "hold", "child", "fill") for path in self.folder.glob(f"{kind}-*")):
            path.unlink()

    def done(self) -> list[str]:
        """Steps that were carried out to their end, in order."""
        path = self.folder / "done.txt"
        return path.read_text().split() if path.exists() else []


def install(folder: Path) -> None:
    """Puts toys in the place of the real steps, in this process."""
    for name, step in STEPS.items():
        STEPS[name] = replace(step, function=lambda call, name=name: _step(Toy(folder), name, call))


def spare() -> Iterator[tuple[object, str, object]]:
    """What to put in the place of what takes seconds after the steps: a version's weights are not opened, no chart drawn."""
    from markupsafe import Markup

    from shoploop.report import drawing
    from shoploop.versions import promotions

    yield promotions, "load_version", lambda found: SimpleNamespace(id=_version_of(found))
    yield drawing, "svg", lambda spec, label: Markup("<svg></svg>")


def _step(toy: Toy, name: str, call: Call) -> dict:
    print(f"toy {name}", flush=True)
    if (toy.folder / f"child-{name}").exists():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (toy.folder / "child.txt").write_text(str(child.pid))
    if (toy.folder / f"fill-{name}").exists():
        with (call.out / "rows").open("wb", buffering=0) as rows:
            while True:
                rows.write(bytes(65_536))
    while (toy.folder / f"hold-{name}").exists():
        time.sleep(0.02)
    if call.cache:
        (call.cache / f"{name}.kept").write_text("kept")
    if (words := toy.folder / f"fail-{name}").exists():
        raise DataUnreadable(words.read_text())
    for folder in call.inputs.values():
        assert any(folder.iterdir()), folder
    document = {
        "gate": GATE,
        "evaluate_model": {"methods": {"fused": {"ndcg@10": 0.5}}},
    }.get(name, {"step": name})
    if (said := toy.folder / f"say-{name}").exists():
        document = document | json.loads(said.read_text())
    (call.out / f"{STEPS[name].output}.json").write_text(json.dumps(document))
    if name == "train_fused":
        shutil.copytree(toy.folder / "model", call.out, dirs_exist_ok=True)
    if name == "build_bento":
        _bento(call)
    with (toy.folder / "done.txt").open("a") as done:
        done.write(f"{name}\n")
    return document


def command_line(arguments: list[str]) -> None:
    """What ``shoploop`` does, with toys as steps and any disk being large enough."""
    from shoploop import runs
    from shoploop.cli import main as cli

    runs.ThisMachine = partial(runs.ThisMachine, pipeline=(sys.executable, __file__))
    runs.check_space = lambda store: None
    sys.argv[1:] = arguments
    cli.main()


def _bento(call: Call) -> None:
    archive = b"a toy"
    (call.out / "toy.bento").write_bytes(archive)
    said = {
        "version": _version_of(call.inputs["model"]),
        "archive": "toy.bento",
        "sha256": hashlib.sha256(archive).hexdigest(),
        "bytes": len(archive),
    }
    judged = json.loads((call.inputs["gate"] / "gate.json").read_text())
    said |= {"incumbent_unread": True} if judged.get("incumbent_unread") else {}
    (call.out / "bento.json").write_text(json.dumps(said))


def _version_of(model: Path) -> str:
    """As ``shoploop.versions.artifact`` says it, whose import takes longer than all toys; a wrong one is not published."""
    return "v" + hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest()[:12]


def pipeline(document: Path) -> int:
    """What ``pipelines.recommender`` does with a plan, without Kubeflow."""
    plan = json.loads(document.read_bytes())
    folders = {STEPS[name].output: Path(folder) for name, folder in plan["found"].items()}
    for name, step in STEPS.items():
        if name in plan["found"]:
            continue
        out = folders[step.output] = Path(plan["root"]) / step.output
        try:
            run_step(name, settings={}, inputs={output: folders[output] for output in step.inputs}, out=out)
        except DataUnreadable as error:
            print(error, file=sys.stderr)
            return 1
        if name == plan["until"]:
            break
    return 0


def ready() -> None:
    """Imports and finds out what a run needs whatever it is a run of."""
    import pyarrow.parquet  # noqa: F401

    import shoploop.cli.main
    import shoploop.cli.run
    import shoploop.data.canonical
    import shoploop.events.compaction
    import shoploop.packaging.bento
    import shoploop.report
    import shoploop.runs.pod_verbs
    import shoploop.runs.retention
    import shoploop.versions.promotions  # noqa: F401
    from shoploop.api.v1alpha1 import Recommender
    from shoploop.steps import step_keys

    spec = Recommender.model_validate({"spec": {"data": {"dataset": "completejourney"}}}).spec
    step_keys(spec, source="", incumbent=None)


def main(arguments: list[str]) -> None:
    """What this file is as a program."""
    install(Path(os.environ[VARIABLE]))
    if len(arguments) == 1:
        sys.exit(pipeline(Path(arguments[0])))
    for module, name, instead in spare():
        setattr(module, name, instead)
    role, *words = arguments
    if role == "cli":
        command_line(words)
    else:
        from shoploop.runs import pod_verbs

        sys.exit(pod_verbs.main(words))


if __name__ == "__main__":
    main(sys.argv[1:])
