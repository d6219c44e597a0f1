from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def validate_data(
    data: dsl.Input[dsl.Dataset],
    validation: dsl.Output[dsl.Artifact],
    expectations: dict = {},
):
    """Hold the tables against their expectations; a broken one of severity Stop ends the run.

    Args:
        data: The canonical tables.
        validation: Every expectation with its verdict and examples.
        expectations: The spec's section ``validation``.
    """
    from pathlib import Path

    from shoploop.steps import run_step

    report = run_step(
        "validate_data",
        settings={"validation": expectations},
        inputs={"data": Path(data.path)},
        out=Path(validation.path),
    )
    validation.metadata["verdict"] = report["verdict"]
