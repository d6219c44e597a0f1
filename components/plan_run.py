from typing import NamedTuple

from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def plan_run(
    recommender: dict,
    data: dict = {"dataset": "completejourney"},
    validation: dict = {},
    features: dict = {},
    seed: int = 0,
    evaluation_days: int = 0,
    training_days: int = 0,
    surfaces: list = ["Items"],
    augmentation: dict = {},
    importance_estimator: str = "GanAttention",
    epochs: int = 4,
    learning_rate: float = 0.001,
    adversarial_radius: float = 0.0,
    metric: str = "ndcg@10",
    confidence: float = 0.95,
    counterfactual: bool = False,
    gate_rule: str = "NotWorse",
    margin: float = 0.002,
    max_age_days: int = 7,
    item_fields: list = ["title"],
    deadline_milliseconds: int = 100,
    allowed_origins: list = [],
    list_rules: dict = {},
    exploration: dict = {},
    run: str = "",
) -> NamedTuple(
    "Planned",
    [
        ("run_id", str),
        ("place", dict),
        ("load_data", str),
        ("validate_data", str),
        ("materialize_features", str),
        ("build_samples", str),
        ("augment_samples", str),
        ("estimate_importance", str),
        ("train_fused", str),
        ("evaluate_model", str),
        ("gate", str),
        ("build_bento", str),
    ],
):
    """Find out which steps are due: those whose data, settings and code the store has no output of.

    Args:
        recommender: Name, store and whatever of the spec is no parameter of its own.
        data: The events to learn from.
        validation: What to do about data that breaks an expectation.
        features: What is known about users, items and shops at any time.
        seed: Same seed, same data, same version.
        evaluation_days: The last days of the data, held out to evaluate on. Unset: 14, or fewer or more by what
            the log holds.
        training_days: The days before them, whose requests are learned from. History reaches back further.
            Unset: 42, or more by what the log holds.
        surfaces: What the model answers. Items is what to recommend; with Search the same model learns to
            answer queries in words from tables.searches or, without it, from queries made of the items' names;
            with Shops, which shop somebody goes to next, from purchases that name their shop. A model without
            Items is not built yet.
        augmentation: Virtual behaviour for sparse users and items.
        importance_estimator: What tells doubtful samples from credible ones. None counts every sample alike.
        epochs: Passes over the training samples.
        learning_rate: Step size of the optimiser.
        adversarial_radius: Trains against the worst small change of the items' embeddings, of this share of
            their length (fast gradient); 0 is none, more takes twice the time.
        metric: What is compared.
        confidence: Of the one-sided bootstrap bound over users.
        counterfactual: Also compare with the version that serves on what shoppers did with its answers in the
            days of evaluation: needs serving.exploration, and its events compacted. Too few such answers, and
            the version does not serve.
        gate_rule: Compared with the version that serves. The first version must always be better than the best
            simple baseline, unless the rule is Always.
        margin: How much worse than the incumbent still counts as not worse.
        max_age_days: A serving version older than this raises a condition.
        item_fields: Columns of the items table that answers carry. No comma is in their names.
        deadline_milliseconds: After this long the predictor answers with what it has.
        allowed_origins: Origins whose pages may ask from a browser (CORS), e.g. https://shop.example; "*" is
            every one. Empty: none.
        list_rules: What every list must be, whatever the model thinks.
        exploration: Lets two items of some answers change places, so that gate.counterfactual can judge other
            versions on what shoppers did. Unset: lists are as the model makes them.
        run: Id of the run; empty: one is made.
    """
    from collections import namedtuple

    from shoploop.runs.kubeflow.task import begin

    begun = begin(
        recommender,
        {
            "data": data,
            "validation": validation,
            "features": features,
            "seed": seed,
            "evaluation_days": evaluation_days,
            "training_days": training_days,
            "surfaces": surfaces,
            "augmentation": augmentation,
            "importance_estimator": importance_estimator,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "adversarial_radius": adversarial_radius,
            "metric": metric,
            "confidence": confidence,
            "counterfactual": counterfactual,
            "gate_rule": gate_rule,
            "margin": margin,
            "max_age_days": max_age_days,
            "item_fields": item_fields,
            "deadline_milliseconds": deadline_milliseconds,
            "allowed_origins": allowed_origins,
            "list_rules": list_rules,
            "exploration": exploration,
        },
        run=run,
    )
    return namedtuple("Planned", ["run_id", "place", *begun.due])(begun.run, begun.place, *begun.due.values())
