from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def gate(
    evaluation: dsl.Input[dsl.Artifact],
    verdict: dsl.Output[dsl.Artifact],
    rules: dict = {},
):
    """Decide whether the version may serve.

    Args:
        evaluation: What evaluate_model wrote.
        verdict: Passed or not, and why.
        rules: The spec's section ``gate``.
    """
    from pathlib import Path

    from shoploop.steps import run_step

    report = run_step(
        "gate",
        settings={"gate": rules},
        inputs={"evaluation": Path(evaluation.path)},
        out=Path(verdict.path),
    )
    verdict.metadata["passed"] = report["passed"]
    verdict.metadata["reason"] = report["reason"]
