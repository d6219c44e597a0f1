from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def build_samples(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    samples: dsl.Output[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    surfaces: list = ["Items"],
    seed: int = 0,
    evaluation_days: int = 0,
    training_days: int = 0,
    place: dict = {},
    due: str = "",
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
        page: The step's own report.
        table: What it came to, in short.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
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
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    samples.metadata.update(done.metadata)
