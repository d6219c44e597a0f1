"""A step's code digest covers what the step runs, and beyond that only what is named here.

Every step is carried out for real, in a process of its own, on a shop of sixty people.
"""

import json
import shutil
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from shop import Shop
from shop.stored import write_files
from watched_imports import run_watched

from shoploop import code_digest
from shoploop.api.v1alpha1 import Recommender
from shoploop.shells import shells_folder
from shoploop.steps import STEPS, settings_of, step_keys

RUNNER = "what carries out every step"

PICTURES = {
    "shoploop.images",
    "shoploop.images.encoder",
    "shoploop.images.learning",
    "shoploop.images.network",
    "shoploop.images.views",
}
"""What learns from pictures, of which this shop has none; whoever reads samples reaches it by ``shoploop.samples.step``."""

BEYOND = {
    "build_samples": PICTURES | {"shoploop.compute.cores", "shoploop.compute.eager"},
    "augment_samples": PICTURES,
    "train_fused": PICTURES,
    "evaluate_model": PICTURES,
    "load_data": {
        # a dataset that this shop does not come from
        "shoploop.data.completejourney",
        "shoploop.data.product_names",
    },
    "estimate_importance": {
        # estimators that spec.importance.estimator and the self-check do not ask for here
        "shoploop.importance.estimators.density_ratio",
        "shoploop.importance.estimators.el2n",
        "shoploop.importance.estimators.ensemble",
        "shoploop.importance.estimators.forgetting",
        "shoploop.importance.estimators.tracin",
        "shoploop.importance.estimators.uniform",
    },
}
"""What a step's digest covers though the step did not import it here. Keep it short: each line is a rerun for nothing."""

HURRY = {
    "augment_samples": """
from dataclasses import replace
from shoploop.augmentation.trials import effort
adversary = replace(effort.RUN.generator.adversary, hidden=16, steps=20, batch=32)
generator = replace(
    effort.RUN.generator, dims=8, adversary=adversary,
    calibrations=1, calibration_records=64, proposals=2, selection_records=128, selection_rounds=10,
)
effort.RUN = replace(effort.RUN, generator=generator, epochs=1, rows=1000, variants=("crop", "gan"), processes=1)
""",
    "estimate_importance": """
from shoploop.importance.checks.check import CheckConfig
from shoploop.importance.estimators.gan import GanConfig
CheckConfig.__init__.__kwdefaults__ |= {"flipped": 20, "learned": 30, "judged": 30, "fewest": 5, "beside": 0}
from shoploop.importance.estimators.judges import LINEAR
from shoploop.importance.estimators.attention import AttentionConfig
GanConfig.__init__.__kwdefaults__ |= {"steps": 5}
AttentionConfig.__init__.__kwdefaults__ |= {"steps": 5}
vars(LINEAR)["settings"] = (0.1,)
""",
}
"""Before a long step, and in the processes that it starts: how much it does imports nothing."""

CARRY_OUT = """
import json, sys
from pathlib import Path
from shoploop.steps import run_step
told = json.loads(sys.argv[1])
inputs = {name: Path(folder) for name, folder in told["inputs"].items()}
run_step(told["name"], settings=told["settings"], inputs=inputs, out=Path(told["out"]), cache=Path(told["cache"]))
"""


def watched(code: str, watch: Path, *arguments: str, first: str = "") -> set[str]:
    """The modules of shoploop that a process imports, itself or in one that it starts."""
    return {module for module in run_watched(code, watch, *arguments, first=first) if code_digest.reachable(module)}


@pytest.fixture(scope="session")
def modules_of(tmp_path_factory):
    """Step to the modules that it has imported; under RUNNER those of what carries out any step."""
    root = tmp_path_factory.mktemp("steps")
    asked = {
        "data": {"tables": write_files(root / "shop", Shop(users=60, days=40, drawn=2))},
        "training": {"epochs": 1, "evaluationDays": 7, "trainingDays": 6},
        "augmentation": {"mode": "Always"},
    }
    spec = Recommender.model_validate({"spec": asked}).spec
    carried_out: dict[str, Future] = {}

    def carry_out(name, step):
        for output in step.inputs:
            carried_out[output].result()
        told = {
            "name": name,
            "settings": settings_of(spec, step),
            "inputs": {output: str(root / output) for output in step.inputs},
            "out": str(root / step.output),
            "cache": str(root / "cache"),
        }
        return watched(CARRY_OUT, root / "imports" / name, json.dumps(told), first=HURRY.get(name, ""))

    with ThreadPoolExecutor(2) as pool:  # begun in the order of the steps, so that what one waits for goes on beside it
        runner = pool.submit(watched, "from shoploop.steps import run_step", root / "imports" / RUNNER)
        for name, step in STEPS.items():
            carried_out[step.output] = pool.submit(carry_out, name, step)
    return {RUNNER: runner.result()} | {name: carried_out[step.output].result() for name, step in STEPS.items()}


@pytest.mark.timeout(1800)  # the first one carries out all steps
@pytest.mark.parametrize("name", STEPS)
def test_a_digest_covers_what_its_step_imports_and_names_what_else(modules_of, name):
    step = STEPS[name]
    covered = {module for module in code_digest.reachable(step.module, shell=step.shell) if not module.endswith(".py")}

    assert modules_of[name] - modules_of[RUNNER] - covered == set(), "editing these would reuse what they no longer say"
    assert covered - modules_of[name] == BEYOND.get(name, set())


@pytest.mark.timeout(1800)
def test_what_carries_out_steps_imports_none_of_them(modules_of):
    """It decides which step runs, not what comes of it; so its own modules need be in no digest."""
    assert modules_of[RUNNER].isdisjoint(step.module for step in STEPS.values())


SPEC = Recommender.model_validate({"spec": {"data": {"dataset": "completejourney"}}}).spec


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the library and its shells, to be edited."""
    root, ignore = tmp_path_factory.mktemp("copied"), shutil.ignore_patterns("__pycache__", "_shells")
    shutil.copytree(Path(code_digest.__file__).parent, root / "shoploop", ignore=ignore)
    for shell in ("serving", "feature_repo"):
        shutil.copytree(shells_folder() / shell, root / shell, ignore=ignore)
    return root / "shoploop"


@pytest.fixture
def package(copied, monkeypatch):
    """What the digests are taken of in this test."""
    monkeypatch.setattr(code_digest, "__file__", str(copied / "code_digest.py"))
    monkeypatch.setattr(code_digest, "shells_folder", lambda: copied.parent)
    code_digest._source.cache_clear()
    yield copied
    code_digest._source.cache_clear()


def due_after_editing(path: Path) -> list[str]:
    before = step_keys(SPEC, source="s", incumbent=None)
    path.write_text(path.read_text() + "\nedited = True\n")
    after = step_keys(SPEC, source="s", incumbent=None)
    return [name for name in STEPS if before[name] != after[name]]


@pytest.mark.parametrize(
    "file", ["report/words.py", "cli/main.py", "runs/pod.py", "controller/worker.py", "bench/serving.py", "api/crd.py"]
)
def test_rooms_that_no_step_runs_change_no_key(package, file):
    assert due_after_editing(package / file) == []


def test_a_dataset_is_loaded_again_when_its_code_changes(package):
    assert due_after_editing(package / "data" / "product_names.py") == list(STEPS)


def test_another_estimator_is_weighed_with_again_and_nothing_before_it_runs(package):
    estimators = sorted((package / "importance" / "estimators").glob("[a-z]*.py"))
    assert len(estimators) > 10
    names = list(STEPS)
    for file in estimators:
        assert due_after_editing(file) == names[names.index("estimate_importance") :], file.name


def test_a_worker_process_counts_with_the_step_that_starts_it(package):
    assert due_after_editing(package / "importance" / "checks" / "beside.py")[0] == "estimate_importance"
    assert due_after_editing(package / "augmentation" / "trials" / "trainings.py")[0] == "augment_samples"


@pytest.mark.parametrize("file", ["serving/service.py", "shoploop/predictor/http.py"])
def test_a_change_of_the_service_is_packaged_again_and_nothing_else_is(package, file):
    assert due_after_editing(package.parent / file) == ["build_bento"]


def test_a_change_of_feasts_objects_materializes_again(package):
    due = due_after_editing(package.parent / "feature_repo" / "definitions.py")
    assert due[0] == "materialize_features" and "load_data" not in due


def test_an_import_inside_a_function_is_followed_and_one_for_the_type_checker_is_not(package):
    (package / "top.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shoploop.typed import T\n"
        "def work():\n    from shoploop.deep import answer\n"
    )
    for name in ("typed", "deep"):
        (package / f"{name}.py").touch()
    assert set(code_digest.reachable("shoploop.top")) == {"shoploop", "shoploop.top", "shoploop.deep"}


def test_what_a_package_offers_lazily_is_reached_by_who_asks_for_it(package):
    (package / "room").mkdir()
    (package / "room" / "__init__.py").write_text("def __getattr__(name):\n    from shoploop.room.heavy import work\n")
    for name in ("heavy", "light"):
        (package / "room" / f"{name}.py").touch()
    (package / "asks.py").write_text("from shoploop.room import work\n")
    (package / "passes.py").write_text("from shoploop.room.light import work\n")
    assert "shoploop.room.heavy" in code_digest.reachable("shoploop.asks")
    assert "shoploop.room.heavy" not in code_digest.reachable("shoploop.passes")


WITHOUT_A_SAY = {
    "adbc_driver_postgresql",
    "confluent_kafka",
    "cryptography",
    "joblib",
    "jwt",
    "limits",
    "obstore",
    "packaging",
    "prometheus_client",
    "redis",
    "starlette",
    "threadpoolctl",
    "typeguard",
    "yaml",
}
"""Libraries that sign, carry, count and read: no number of a step depends on their version."""

DISTRIBUTIONS = {
    "great_expectations": "great-expectations",
    "sklearn": "scikit-learn",
    "ibis": "ibis-framework",
    "pydantic_core": "pydantic",
    "PIL": "pillow",
    "charset_normalizer": "charset-normalizer",
}


def test_the_versions_of_all_libraries_that_decide_a_result_count():
    found = set()
    for step in STEPS.values():
        for path in code_digest.reachable(step.module, shell=step.shell).values():
            found |= {name.partition(".")[0] for name in code_digest._imports(path).eager}
    libraries = found - sys.stdlib_module_names - {"shoploop"} - WITHOUT_A_SAY
    assert {DISTRIBUTIONS.get(name, name) for name in libraries} <= set(code_digest.LIBRARIES)
