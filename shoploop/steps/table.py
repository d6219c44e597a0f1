"""The table of steps: what each reads, writes and depends on, and which function does its work.

Such a function takes keywords only, in this order: folders by their names in a run (``samples`` may be the ones that
augmentation wrote), ``out``, sections of the spec as ``<section>_spec``, then seed, cache and the like.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from shoploop.api.v1alpha1 import (
    AugmentationSpec,
    DataSpec,
    FeaturesSpec,
    GateSpec,
    ImportanceSpec,
    RecommenderSpec,
    ServingSpec,
    Spec,
    TrainingSpec,
    ValidationSpec,
)

AnySpec = TypeVar("AnySpec", bound=Spec)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one execution of a step is given."""

    settings: Mapping[str, Any]
    """Sections of the spec, in YAML's own words, cut down to what the step depends on."""

    inputs: Mapping[str, Path]
    """Output folders of earlier steps by their names."""

    out: Path
    cache: Path | None = None
    """Folder that outlives a killed execution: a step goes on from what it left there under a name of its inputs."""

    def section(self, name: str, kind: type[AnySpec]) -> AnySpec:
        return kind.model_validate(self.settings.get(name, {}))


@dataclass(frozen=True, kw_only=True)
class Step:
    name: str
    output: str
    """Name of its folder in a run."""

    module: str
    """Where its work is done; the code digest begins there."""

    function: Callable[[Call], dict[str, Any]]
    inputs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    """Steps that must have ended well, though nothing of theirs is read."""

    settings: tuple[str, ...] = ()
    """Fields of the spec it depends on, as dotted YAML paths; a change of another field does not run it again."""

    shell: str | None = None
    """A shell whose sources it packs: a change there runs it again."""

    caches: bool = False
    """Whether it keeps work that a later execution goes on from."""

    gpu: bool = False
    """Whether ``training.resources`` are for this step; a CPU step never holds a GPU."""

    together: bool = False
    """Whether ``training.nodes`` machines carry it out together; what it makes does not depend on how many, to rounding."""

    says: str = ""
    """What it does, for people."""


def _load_data(call: Call) -> dict[str, Any]:
    from shoploop.data.step import load_data

    return load_data(out=call.out, data_spec=call.section("data", DataSpec), collected=call.inputs.get("collected"))


def _validate_data(call: Call) -> dict[str, Any]:
    from shoploop.validation.step import validate_data

    return validate_data(
        data=call.inputs["data"], out=call.out, validation_spec=call.section("validation", ValidationSpec)
    )


def _materialize_features(call: Call) -> dict[str, Any]:
    from shoploop.features.materialize import materialize_features

    return materialize_features(
        data=call.inputs["data"],
        out=call.out,
        training_spec=call.section("training", TrainingSpec),
        features_spec=call.section("features", FeaturesSpec),
    )


def _build_samples(call: Call) -> dict[str, Any]:
    from shoploop.samples.step import build_samples

    return build_samples(
        data=call.inputs["data"],
        features=call.inputs["features"],
        out=call.out,
        training_spec=call.section("training", TrainingSpec),
    )


def _augment_samples(call: Call) -> dict[str, Any]:
    from shoploop.augmentation.step import augment_samples

    return augment_samples(
        data=call.inputs["data"],
        features=call.inputs["features"],
        samples=call.inputs["samples"],
        out=call.out,
        augmentation_spec=call.section("augmentation", AugmentationSpec),
        seed=call.section("training", TrainingSpec).seed,
        cache=call.cache,
    )


def _estimate_importance(call: Call) -> dict[str, Any]:
    from shoploop.importance.step import estimate_importance

    return estimate_importance(
        data=call.inputs["data"],
        features=call.inputs["features"],
        samples=call.inputs["augmentation"] / "samples",
        out=call.out,
        importance_spec=call.section("importance", ImportanceSpec),
        seed=call.section("training", TrainingSpec).seed,
        cache=call.cache,
    )


def _train_fused(call: Call) -> dict[str, Any]:
    from shoploop.training.step import train_fused

    return train_fused(
        data=call.inputs["data"],
        features=call.inputs["features"],
        samples=call.inputs["augmentation"] / "samples",
        augmentation=call.inputs["augmentation"],
        importance=call.inputs["importance"],
        out=call.out,
        training_spec=call.section("training", TrainingSpec),
        parent=call.settings.get("parent"),
        cache=call.cache,
    )


def _evaluate_model(call: Call) -> dict[str, Any]:
    from shoploop.evaluation.step import evaluate_model

    return evaluate_model(
        data=call.inputs["data"],
        features=call.inputs["features"],
        samples=call.inputs["samples"],
        model=call.inputs["model"],
        incumbent=call.inputs.get("incumbent"),
        out=call.out,
        gate_spec=call.section("gate", GateSpec),
    )


def _gate(call: Call) -> dict[str, Any]:
    from shoploop.evaluation.gate import gate

    return gate(evaluation=call.inputs["evaluation"], out=call.out, gate_spec=call.section("gate", GateSpec))


def _build_bento(call: Call) -> dict[str, Any]:
    from shoploop.packaging.bento import build_bento
    from shoploop.versions.verdicts import falls_back_by, read_verdict

    said = call.inputs["gate"] / "gate.json"
    verdict = read_verdict(said.read_bytes(), said)
    return build_bento(
        data=call.inputs["data"],
        features=call.inputs["features"],
        model=call.inputs["model"],
        out=call.out,
        serving_spec=call.section("serving", ServingSpec),
        max_age_days=call.section("gate", GateSpec).max_age_days,
        falls_back=falls_back_by(verdict),
        unread=bool((verdict.model_extra or {}).get("incumbent_unread")),
    )


_SAMPLING = ("training.seed", "training.evaluationDays", "training.trainingDays", "training.surfaces")

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            name="load_data",
            output="data",
            module="shoploop.data.step",
            function=_load_data,
            settings=("data",),
            says="Read the raw tables into the canonical ones",
        ),
        Step(
            name="validate_data",
            output="validation",
            module="shoploop.validation.step",
            function=_validate_data,
            inputs=("data",),
            settings=("validation",),
            says="Hold the tables against their expectations",
        ),
        Step(
            name="materialize_features",
            output="features",
            module="shoploop.features.materialize",
            function=_materialize_features,
            inputs=("data",),
            after=("validate_data",),
            shell="feature_repo",
            settings=("features", *_SAMPLING),
            says="Compute features as of each day and load the online store",
        ),
        Step(
            name="build_samples",
            output="samples",
            module="shoploop.samples.step",
            function=_build_samples,
            inputs=("data", "features"),
            settings=_SAMPLING,
            says="Gather requests, candidates and labels, point in time",
        ),
        Step(
            name="augment_samples",
            output="augmentation",
            module="shoploop.augmentation.step",
            function=_augment_samples,
            inputs=("data", "features", "samples"),
            settings=("augmentation", "training.seed"),
            caches=True,
            gpu=True,
            together=True,
            says="Try virtual behaviour, and add what pays",
        ),
        Step(
            name="estimate_importance",
            output="importance",
            module="shoploop.importance.step",
            function=_estimate_importance,
            inputs=("data", "features", "augmentation"),
            settings=("importance.estimator", "training.seed"),
            caches=True,
            gpu=True,
            says="Weigh the training samples, and keep the weights where they do not lose",
        ),
        Step(
            name="train_fused",
            output="model",
            module="shoploop.training.step",
            function=_train_fused,
            inputs=("data", "features", "augmentation", "importance"),
            settings=(*_SAMPLING, "training.epochs", "training.learningRate", "training.adversarialRadius"),
            caches=True,
            gpu=True,
            together=True,
            says="Train the DNN, the Transformer and the α that fuses them",
        ),
        Step(
            name="evaluate_model",
            output="evaluation",
            module="shoploop.evaluation.step",
            function=_evaluate_model,
            inputs=("data", "features", "samples", "model"),
            settings=("gate.metric", "gate.confidence", "gate.counterfactual"),
            says="Measure it against the baselines on days it has not seen",
        ),
        Step(
            name="gate",
            output="gate",
            module="shoploop.evaluation.gate",
            function=_gate,
            inputs=("evaluation",),
            settings=("gate",),
            says="Decide whether it may serve",
        ),
        Step(
            name="build_bento",
            output="bento",
            module="shoploop.packaging.bento",
            function=_build_bento,
            inputs=("model", "features", "data", "gate"),
            shell="serving",
            settings=(
                "serving.itemFields",
                "serving.deadlineMilliseconds",
                "serving.allowedOrigins",
                "serving.listRules",
                "serving.exploration",
                "gate.maxAgeDays",
            ),
            says="Package the version as a Bento",
        ),
    )
}

PRODUCER = {step.output: step.name for step in STEPS.values()}
"""Which step writes a folder."""


def needed_by(name: str) -> list[str]:
    """The steps that ``name`` cannot be carried out without, and itself, in their order."""
    wanted, waiting = set(), [name]
    while waiting:
        step = STEPS[waiting.pop()]
        wanted.add(step.name)
        waiting += [*(PRODUCER[output] for output in step.inputs), *step.after]
    return [step for step in STEPS if step in wanted]


def not_asked_for(spec: RecommenderSpec) -> list[str]:
    """The steps to which a spec leaves nothing to do but to write that it does."""
    never = ["augment_samples"] if spec.augmentation.mode == "Never" else []
    return [*never, *(["estimate_importance"] if spec.importance.estimator == "None" else [])]
