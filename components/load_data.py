from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def load_data(
    source: dict,
    data: dsl.Output[dsl.Dataset],
    collected: str = "",
):
    """Read the raw tables into the canonical ones.

    Args:
        source: The spec's section ``data``.
        collected: Folder of interactions from the event log; empty where there are none.
        data: interactions, items, users and shops as Parquet, and what was done to them.
    """
    from pathlib import Path

    from shoploop.steps import run_step

    report = run_step(
        "load_data",
        settings={"data": source},
        inputs={"collected": Path(collected)} if collected else {},
        out=Path(data.path),
    )
    data.metadata["rows"] = {name: table["rows"] for name, table in report["tables"].items()}
