from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def augment_samples(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    samples: dsl.Input[dsl.Dataset],
    augmentation: dsl.Output[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    judge: dsl.Output[dsl.ClassificationMetrics],
    options: dict = {},
    seed: int = 0,
    place: dict = {},
    due: str = "",
):
    """Make virtual behaviour, and let what is shown to pay and withstands attacks into the training samples.

    Args:
        data: The canonical tables.
        features: What materialize_features wrote.
        samples: What build_samples wrote.
        augmentation: The samples that training reads, the virtual rows and the verdict.
        options: The spec's section ``augmentation``.
        seed: Of every random draw.
        page: The step's own report.
        table: What it came to, in short.
        judge: ROC curve and confusion of a judge that tells virtual behaviour from real; empty where nobody did.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
        "augment_samples",
        settings={"augmentation": options, "training": {"seed": int(seed)}},
        inputs={"data": Path(data.path), "features": Path(features.path), "samples": Path(samples.path)},
        out=Path(augmentation.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    augmentation.metadata.update(done.metadata)
    done.show_classification(judge)
