from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def augment_samples(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    samples: dsl.Input[dsl.Dataset],
    augmentation: dsl.Output[dsl.Dataset],
    options: dict = {},
    seed: int = 0,
):
    """Make virtual behaviour, and let what is shown to pay and to leak nobody into the training samples.

    Args:
        data: The canonical tables.
        features: What materialize_features wrote.
        samples: What build_samples wrote.
        augmentation: The samples that training reads, the virtual rows and the verdict.
        options: The spec's section ``augmentation``.
        seed: Of every random draw.
    """
    from pathlib import Path

    from shoploop.steps import run_step

    report = run_step(
        "augment_samples",
        settings={"augmentation": options, "training": {"seed": int(seed)}},
        inputs={"data": Path(data.path), "features": Path(features.path), "samples": Path(samples.path)},
        out=Path(augmentation.path),
    )
    augmentation.metadata["variant"] = report["variant"] or "none"
    augmentation.metadata["reason"] = report["reason"]
    augmentation.metadata["samples_added"] = report["samples_added"]
    for name, tried in report.get("variants", {}).items():
        augmentation.metadata[f"ndcg@10_gain of {name}"] = tried["ndcg@10_gain"]
    for check in ("fidelity", "privacy"):
        if check in report:
            augmentation.metadata[f"{check} passed"] = report[check]["passed"]
