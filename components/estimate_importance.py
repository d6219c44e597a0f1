from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def estimate_importance(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    augmentation: dsl.Input[dsl.Dataset],
    importance: dsl.Output[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    judge: dsl.Output[dsl.ClassificationMetrics],
    estimator: str = "GanAttention",
    seed: int = 0,
    place: dict = {},
    due: str = "",
):
    """Weigh the training samples, check that the weights mean something, and keep them where they do not lose.

    Args:
        data: The canonical tables; the report names products by their titles.
        features: What materialize_features wrote.
        augmentation: What augment_samples wrote; its samples are weighed.
        importance: A weight for each training row, the self-check and the verdict.
        estimator: Which estimator; None weighs nothing.
        seed: Of every random draw.
        page: The step's own report.
        table: What it came to, in short.
        judge: ROC curve and confusion of who finds labels that were flipped on purpose; empty where nobody did.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
        "estimate_importance",
        settings={"importance": {"estimator": estimator}, "training": {"seed": int(seed)}},
        inputs={"data": Path(data.path), "features": Path(features.path), "augmentation": Path(augmentation.path)},
        out=Path(importance.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    importance.metadata.update(done.metadata)
    done.show_classification(judge)
