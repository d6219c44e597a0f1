from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def gate(
    evaluation: dsl.Input[dsl.Artifact],
    verdict: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    rule: str = "NotWorse",
    metric: str = "ndcg@10",
    margin: float = 0.002,
    confidence: float = 0.95,
    counterfactual: bool = False,
    max_age_days: int = 7,
    place: dict = {},
    due: str = "",
):
    """Decide whether the version may serve.

    Args:
        evaluation: What evaluate_model wrote.
        verdict: Passed or not, and why.
        rule: NotWorse and Better compare with the version that serves; Always lets everything pass.
        metric: What is compared.
        margin: How much worse than the version that serves still counts as not worse.
        confidence: Of the bound.
        counterfactual: Judge it on what shoppers did with the serving version's answers, too.
        max_age_days: A serving version older than this raises a condition.
        page: The step's own report.
        table: What it came to, in short.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
        "gate",
        settings={
            "gate": {
                "rule": rule,
                "metric": metric,
                "margin": margin,
                "confidence": confidence,
                "counterfactual": counterfactual,
                "maxAgeDays": int(max_age_days),
            }
        },
        inputs={"evaluation": Path(evaluation.path)},
        out=Path(verdict.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    verdict.metadata.update(done.metadata)
