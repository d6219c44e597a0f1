from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def record_end(recommender: dict, run: str = "") -> str:
    """See to it that the record of a run says how it ended, also where its pod was killed.

    Args:
        recommender: Name and store.
        run: Id of the run; empty: it is found by Kubeflow's own.
    """
    from shoploop.runs.kubeflow.task import record_end

    said = record_end(recommender, run=run)
    print(said)
    return said
