from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def build_samples(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    samples: dsl.Output[dsl.Dataset],
    surfaces: list = ["Items"],
    seed: int = 0,
    evaluation_days: int = 0,
    training_days: int = 0,
):
    """Gather requests, candidates and labels; nothing later than a request is visible to it.

    Args:
        data: The canonical tables.
        features: What materialize_features wrote.
        samples: Requests, candidates with features and labels, and histories.
        surfaces: What is recommended.
        seed: Of every random draw.
        evaluation_days: Last days of the data, held out; 0 chooses them from the data.
        training_days: Days before them, whose requests are learned from; 0 chooses them.
    """
    from pathlib import Path

    from shoploop.steps import run_step

    run_step(
        "build_samples",
        settings={
            "training": {
                "surfaces": surfaces,
                "seed": int(seed),
                "evaluationDays": int(evaluation_days) or None,
                "trainingDays": int(training_days) or None,
            },
        },
        inputs={"data": Path(data.path), "features": Path(features.path)},
        out=Path(samples.path),
    )
