"""Every component compiles, calls the step of its name and offers its settings with the spec's own defaults."""

import importlib
import inspect

import pytest
import yaml
from kfp import compiler

from pipelines.recommender import recommender_pipeline
from shoploop.api.v1alpha1 import GateSpec, ImportanceSpec, ServingSpec, Spec, TrainingSpec
from shoploop.steps import STEPS, needed_by


def component(name):
    return getattr(importlib.import_module(f"components.{name}"), name)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    target = tmp_path_factory.mktemp("compiled") / "recommender.yaml"
    compiler.Compiler().compile(recommender_pipeline(), str(target))
    return next(yaml.load_all(target.read_text(), yaml.CSafeLoader))


def test_the_pipeline_has_every_step_and_no_other(compiled):
    assert {name.replace("-", "_") for name in compiled["root"]["dag"]["tasks"]} == set(STEPS)


@pytest.mark.parametrize("step", ["load_data", "validate_data", "augment_samples", "estimate_importance", "gate"])
def test_a_pipeline_until_a_step_has_what_it_needs_and_no_more(tmp_path, step):
    compiler.Compiler().compile(recommender_pipeline(until=step), str(tmp_path / "part.yaml"))
    part = next(yaml.load_all((tmp_path / "part.yaml").read_text(), yaml.CSafeLoader))
    assert {name.replace("-", "_") for name in part["root"]["dag"]["tasks"]} == set(needed_by(step))


@pytest.mark.parametrize("name", STEPS)
def test_tasks_depend_on_each_other_as_the_steps_do(compiled, name):
    task = compiled["root"]["dag"]["tasks"][name.replace("_", "-")]
    needed = {step.replace("-", "_") for step in task.get("dependentTasks", [])}
    producers = {other.name for other in STEPS.values() if other.output in STEPS[name].inputs}
    assert needed == producers | set(STEPS[name].after)


def test_no_step_installs_a_package_when_it_starts(compiled):
    for executor in compiled["deploymentSpec"]["executors"].values():
        assert "pip install" not in " ".join(executor["container"]["command"])


@pytest.mark.parametrize("name", STEPS)
def test_a_component_says_what_its_parameters_are(name):
    function = component(name).python_func
    for parameter in inspect.signature(function).parameters:
        assert f"        {parameter}: " in function.__doc__, parameter


@pytest.mark.parametrize("name", STEPS)
def test_a_component_offers_every_setting_of_its_step_with_the_default_of_the_spec(name):
    parameters = inspect.signature(component(name).python_func).parameters
    sections = {
        "importance": ImportanceSpec(),
        "training": TrainingSpec(),
        "gate": GateSpec(),
        "serving": ServingSpec(),
    }
    for path in STEPS[name].settings:
        section, _, field = path.partition(".")
        if not field:
            fields = [f"{section}.{name}" for name in GateSpec.model_fields] if section == "gate" else []
            assert {one.partition(".")[2] for one in fields} <= set(parameters)
            continue
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in field)
        unset = getattr(sections[section], snake)
        if isinstance(unset, Spec):
            unset = unset.model_dump(exclude_defaults=True)
        nothing = {} if parameters[snake].annotation is dict else 0  # KFP passes no None
        assert parameters[snake].default == (nothing if unset is None else unset), path


def test_what_is_found_is_read_from_its_folder_and_not_carried_out(tmp_path):
    found = {name: f"/done/{STEPS[name].output}" for name in STEPS if name not in ("gate", "build_bento")}
    compiler.Compiler().compile(recommender_pipeline(found), str(tmp_path / "rest.yaml"))
    rest = next(yaml.load_all((tmp_path / "rest.yaml").read_text(), yaml.CSafeLoader))
    tasks = rest["root"]["dag"]["tasks"]
    assert {name for name in tasks if not name.startswith("importer")} == {"gate", "build-bento"}
    assert "build-bento" not in tasks["gate"].get("dependentTasks", [])
    executors = rest["deploymentSpec"]["executors"].values()
    imported = {one["importer"]["artifactUri"]["constant"] for one in executors if "importer" in one}
    assert {
        f"/done/{STEPS[name].output}" for name in needed_by("evaluate_model") if name != "validate_data"
    } <= imported
