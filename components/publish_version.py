from kfp import dsl

from components import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def publish_version(
    verdict: dsl.Input[dsl.Artifact],
    bento: dsl.Input[dsl.Artifact],
    version: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
    place: dict,
    run: str,
    promotes: bool = False,
):
    """Put the version, its Bento and its verdict into the store, and show the report of the whole run.

    Args:
        verdict: What the gate wrote.
        bento: What build_bento wrote.
        version: Its id, and where it lies.
        metrics: The fused model's, on days it has not seen.
        page: The report of the whole run.
        place: Where the run's store is, as plan_run says.
        run: Id of the run.
        promotes: Let a version that passed serve from now on; else somebody promotes it.
    """
    from shoploop.runs.kubeflow.task import publish

    done = publish(place, run, promotes=promotes, page=page.path)
    version.metadata.update(done.metadata)
    for name, value in done.metrics.items():
        metrics.log_metric(name, value)
