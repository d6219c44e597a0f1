from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def train_fused(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    augmentation: dsl.Input[dsl.Dataset],
    importance: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    surfaces: list = ["Items"],
    seed: int = 0,
    evaluation_days: int = 0,
    training_days: int = 0,
    epochs: int = 4,
    learning_rate: float = 1e-3,
    adversarial_radius: float = 0.0,
    parent: str = "",
    place: dict = {},
    due: str = "",
):
    """Train the DNN, the Transformer and the α that fuses them.

    Args:
        data: The canonical tables.
        features: What materialize_features wrote.
        augmentation: What augment_samples wrote: the samples to learn from.
        importance: What estimate_importance wrote: weights of these samples, and whether they are used.
        model: A version folder: weights, items, contract and manifest.
        surfaces: What is recommended.
        seed: Of every random draw.
        evaluation_days: Last days of the data, held out; 0 chooses them from the data.
        training_days: Days before them, whose requests are learned from; 0 chooses them.
        epochs: Passes over the training samples.
        learning_rate: Step size of the optimiser.
        adversarial_radius: Share of the embeddings' length that training perturbs them by; 0 is none.
        parent: Id of the version that serves now; empty where none does.
        page: The step's own report.
        table: What it came to, in short.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
        "train_fused",
        settings={
            "training": {
                "surfaces": surfaces,
                "seed": int(seed),
                "evaluationDays": int(evaluation_days) or None,
                "trainingDays": int(training_days) or None,
                "epochs": int(epochs),
                "learningRate": learning_rate,
                "adversarialRadius": adversarial_radius,
            },
            "parent": parent or None,
        },
        inputs={
            "data": Path(data.path),
            "features": Path(features.path),
            "augmentation": Path(augmentation.path),
            "importance": Path(importance.path),
        },
        out=Path(model.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    model.metadata.update(done.metadata)
