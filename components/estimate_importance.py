from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def estimate_importance(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    augmentation: dsl.Input[dsl.Dataset],
    importance: dsl.Output[dsl.Dataset],
    estimator: str = "GanAttention",
    seed: int = 0,
):
    """Weigh the training samples, check that the weights mean something, and keep them where they do not lose.

    Args:
        data: The canonical tables; the report names products by their titles.
        features: What materialize_features wrote.
        augmentation: What augment_samples wrote; its samples are weighed.
        importance: A weight for each training row, the self-check and the verdict.
        estimator: Which estimator; None weighs nothing.
        seed: Of every random draw.
    """
    from pathlib import Path

    from shoploop.steps import run_step

    report = run_step(
        "estimate_importance",
        settings={"importance": {"estimator": estimator}, "training": {"seed": int(seed)}},
        inputs={"data": Path(data.path), "features": Path(features.path), "augmentation": Path(augmentation.path)},
        out=Path(importance.path),
    )
    importance.metadata["used"] = report["verdict"]["used"]
    importance.metadata["reason"] = report["verdict"]["reason"]
    for method, found in report.get("self_check", {}).get("detection", {}).items():
        importance.metadata[f"detection auc of {method}"] = found["auc"]
