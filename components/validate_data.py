from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def validate_data(
    data: dsl.Input[dsl.Dataset],
    validation: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    expectations: dict = {},
    place: dict = {},
    due: str = "",
):
    """Hold the tables against their expectations; a broken one of severity Stop ends the run.

    Args:
        data: The canonical tables.
        validation: Every expectation with its verdict and examples.
        expectations: The spec's section ``validation``.
        page: The step's own report.
        table: What it came to, in short.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
        "validate_data",
        settings={"validation": expectations},
        inputs={"data": Path(data.path)},
        out=Path(validation.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    validation.metadata.update(done.metadata)
