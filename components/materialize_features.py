from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def materialize_features(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    store: dict = {},
    surfaces: list = ["Items"],
    seed: int = 0,
    evaluation_days: int = 0,
    training_days: int = 0,
    place: dict = {},
    due: str = "",
):
    """Compute features as of each day and load the online store.

    Args:
        data: The canonical tables.
        features: Feature tables, their contract, Feast's registry and online store.
        store: The spec's section ``features``.
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
        "materialize_features",
        settings={
            "features": store,
            "training": {
                "surfaces": surfaces,
                "seed": int(seed),
                "evaluationDays": int(evaluation_days) or None,
                "trainingDays": int(training_days) or None,
            },
        },
        inputs={"data": Path(data.path)},
        out=Path(features.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    features.metadata.update(done.metadata)
