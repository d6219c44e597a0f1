from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def build_bento(
    data: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Artifact],
    model: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Artifact],
    bento: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    item_fields: list = ["title"],
    deadline_milliseconds: int = 100,
    allowed_origins: list = [],
    list_rules: dict = {},
    exploration: dict = {},
    max_age_days: int = 7,
    place: dict = {},
    due: str = "",
):
    """Package the version as a Bento: what it writes is what serves.

    Args:
        data: The canonical tables.
        features: What materialize_features wrote.
        model: What train_fused wrote.
        verdict: What the gate wrote: which surfaces the model must not answer.
        bento: The Bento and its digest.
        item_fields: Columns of the items table that answers carry. No comma is in their names.
        deadline_milliseconds: After this long the predictor answers with what it has.
        allowed_origins: Origins whose pages may ask from a browser; "*" is every one.
        list_rules: What every list must be, as spec.serving.listRules says.
        exploration: How often two items of an answer change places, as spec.serving.exploration says; empty: never.
        max_age_days: Data older than this makes the predictor answer as of the day after the data's last.
        page: The step's own report.
        table: What it came to, in short.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
        "build_bento",
        settings={
            "serving": {
                "itemFields": item_fields,
                "deadlineMilliseconds": int(deadline_milliseconds),
                "allowedOrigins": allowed_origins,
                "listRules": list_rules,
                "exploration": exploration or None,
            },
            "gate": {"maxAgeDays": int(max_age_days)},
        },
        inputs={
            "data": Path(data.path),
            "features": Path(features.path),
            "model": Path(model.path),
            "gate": Path(verdict.path),
        },
        out=Path(bento.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    bento.metadata.update(done.metadata)
