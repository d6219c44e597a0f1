from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def evaluate_model(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    samples: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    incumbent: str = "",
    metric: str = "ndcg@10",
    confidence: float = 0.95,
    counterfactual: bool = False,
    place: dict = {},
    due: str = "",
):
    """Measure a version against the baselines, and against the one that serves, on days it has not seen.

    Args:
        data: The canonical tables.
        features: What materialize_features wrote.
        samples: What build_samples wrote.
        model: What train_fused wrote.
        evaluation: Metrics with intervals, by method and by slice.
        metrics: The fused model's, for Kubeflow's page.
        incumbent: Folder of the version that serves, named by its id; empty where none does.
        metric: What the gate compares.
        confidence: Of the intervals.
        counterfactual: Judge it on what shoppers did with the serving version's answers, too.
        page: The step's own report.
        table: What it came to, in short.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    inputs = {"data": data, "features": features, "samples": samples, "model": model}
    paths = {name: Path(artifact.path) for name, artifact in inputs.items()}
    if incumbent:
        paths["incumbent"] = Path(incumbent)
    done = carry_out(
        "evaluate_model",
        settings={"gate": {"metric": metric, "confidence": confidence, "counterfactual": counterfactual}},
        inputs=paths,
        out=Path(evaluation.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    evaluation.metadata.update(done.metadata)
    for name, value in done.metrics.items():
        metrics.log_metric(name, value)
