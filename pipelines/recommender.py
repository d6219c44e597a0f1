"""From raw tables to a packaged version, as one Kubeflow pipeline.

python -m pipelines.recommender out.yaml            compiles it for Kubeflow
python -m pipelines.recommender --local plan.json   runs it here, a process a step (``shoploop run`` calls this)
"""

import json
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from kfp import compiler, dsl, local

from components.augment_samples import augment_samples
from components.build_bento import build_bento
from components.build_samples import build_samples
from components.estimate_importance import estimate_importance
from components.evaluate_model import evaluate_model
from components.gate import gate
from components.load_data import load_data
from components.materialize_features import materialize_features
from components.train_fused import train_fused
from components.validate_data import validate_data
from shoploop.compute.lifetime import end_with_starter
from shoploop.steps import STEPS, needed_by


def recommender_pipeline(found: Mapping[str, str] | None = None, until: str | None = None):
    """The pipeline.

    Args:
        found: Folders of steps that are done already, by step: they are read from there and not carried out.
        until: The step that it ends with, or None for all of them.
    """
    found = found or {}
    wanted = needed_by(until) if until else list(STEPS)

    def output(step: str, name: str, kind: type[dsl.Artifact], make: Callable[[], dsl.PipelineTask]):
        """The step's output, and its task where it is carried out; of a step that is not wanted neither."""
        if step not in wanted:
            return None, None
        if step in found:
            return dsl.importer(artifact_uri=found[step], artifact_class=kind, reimport=False).output, None
        task = make()
        return task.outputs[name], task

    @dsl.pipeline(name="recommender", description="From raw shop events to a packaged recommender.")
    def recommender(
        source: dict = {"dataset": "completejourney"},
        expectations: dict = {},
        store: dict = {},
        surfaces: list = ["Items"],
        seed: int = 0,
        evaluation_days: int = 0,
        training_days: int = 0,
        augmentation: dict = {},
        importance_estimator: str = "GanAttention",
        epochs: int = 4,
        learning_rate: float = 1e-3,
        adversarial_radius: float = 0.0,
        collected: str = "",
        parent: str = "",
        incumbent: str = "",
        metric: str = "ndcg@10",
        confidence: float = 0.95,
        counterfactual: bool = False,
        rules: dict = {},
        item_fields: list = ["title"],
        deadline_milliseconds: int = 100,
        allowed_origins: list = [],
        list_rules: dict = {},
        exploration: dict = {},
        max_age_days: int = 7,
    ):
        sampling = {
            "surfaces": surfaces,
            "seed": seed,
            "evaluation_days": evaluation_days,
            "training_days": training_days,
        }
        data, _ = output("load_data", "data", dsl.Dataset, lambda: load_data(source=source, collected=collected))
        _, validated = output(
            "validate_data", "validation", dsl.Artifact, lambda: validate_data(data=data, expectations=expectations)
        )
        features, materialized = output(
            "materialize_features",
            "features",
            dsl.Artifact,
            lambda: materialize_features(data=data, store=store, **sampling),
        )
        if materialized and validated:
            materialized.after(validated)
        samples, _ = output(
            "build_samples", "samples", dsl.Dataset, lambda: build_samples(data=data, features=features, **sampling)
        )
        augmented, _ = output(
            "augment_samples",
            "augmentation",
            dsl.Dataset,
            lambda: augment_samples(data=data, features=features, samples=samples, options=augmentation, seed=seed),
        )
        weights, _ = output(
            "estimate_importance",
            "importance",
            dsl.Dataset,
            lambda: estimate_importance(
                data=data, features=features, augmentation=augmented, estimator=importance_estimator, seed=seed
            ),
        )
        model, _ = output(
            "train_fused",
            "model",
            dsl.Model,
            lambda: train_fused(
                data=data,
                features=features,
                augmentation=augmented,
                importance=weights,
                epochs=epochs,
                learning_rate=learning_rate,
                adversarial_radius=adversarial_radius,
                parent=parent,
                **sampling,
            ),
        )
        evaluation, _ = output(
            "evaluate_model",
            "evaluation",
            dsl.Artifact,
            lambda: evaluate_model(
                data=data,
                features=features,
                samples=samples,
                model=model,
                incumbent=incumbent,
                metric=metric,
                confidence=confidence,
                counterfactual=counterfactual,
            ),
        )
        _, judged = output("gate", "verdict", dsl.Artifact, lambda: gate(evaluation=evaluation, rules=rules))
        _, packed = output(
            "build_bento",
            "bento",
            dsl.Artifact,
            lambda: build_bento(
                data=data,
                features=features,
                model=model,
                item_fields=item_fields,
                deadline_milliseconds=deadline_milliseconds,
                allowed_origins=allowed_origins,
                list_rules=list_rules,
                exploration=exploration,
                max_age_days=max_age_days,
            ),
        )
        if packed and judged:
            packed.after(judged)

    return recommender


def run_locally(plan: Path) -> None:
    """Runs the pipeline of a plan: {"root": folder, "found": {step: folder}, "until": step or null, "arguments": {...}}."""
    wanted = json.loads(plan.read_bytes())
    warnings.filterwarnings("ignore", message="You may be attemping to run a task that uses custom")
    logging.getLogger().setLevel(logging.INFO)
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=wanted["root"], enable_caching=False)
    recommender_pipeline(wanted["found"], wanted["until"])(**wanted["arguments"])


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--local", plan]:
            end_with_starter()
            try:
                run_locally(Path(plan))
            except RuntimeError as error:  # a failed step: it said itself what happened
                print(error, file=sys.stderr)
                return 1
        case [target] if not target.startswith("-"):
            compiler.Compiler().compile(recommender_pipeline(), target)
            print(f"wrote {target}")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
