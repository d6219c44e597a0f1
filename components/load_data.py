from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def load_data(
    source: dict,
    data: dsl.Output[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    table: dsl.Output[dsl.Markdown],
    collected: str = "",
    place: dict = {},
    due: str = "",
):
    """Read the raw tables into the canonical ones.

    Args:
        source: The spec's section ``data``.
        collected: Folder of interactions from the event log; empty where there are none.
        data: interactions, items, users and shops as Parquet, and what was done to them.
        page: The step's own report.
        table: What it came to, in short.
        place: Where the run's store is, as plan_run says; empty for a step on its own.
        due: What the step does, by its digest, and the run that does it or did it, as plan_run says.
    """
    from pathlib import Path

    from shoploop.runs.kubeflow.task import carry_out

    done = carry_out(
        "load_data",
        settings={"data": source},
        inputs={"collected": Path(collected)} if collected else {},
        out=Path(data.path),
        place=place,
        due=due,
        page=page.path,
        table=table.path,
    )
    data.metadata.update(done.metadata)
