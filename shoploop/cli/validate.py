"""``shoploop validate``: what can be known of a recommender.yaml before it runs, by the functions that a run uses."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.errors import SpecInvalid


def validate_recommender(file: Path) -> None:
    """Says that it is valid, and what could not be looked at.

    Raises:
        SpecInvalid: it breaks a rule, or asks for what no run can do. SchemaMismatch: a table lacks a column.
    """
    from shoploop.cli.run import load_with_data
    from shoploop.data.inputs import check_columns
    from shoploop.runs.kubeflow.placement import unknown_steps
    from shoploop.runs.refusals import refuse_early

    recommender = load_with_data(file)
    refuse_early(recommender.spec)
    for problem in unknown_steps(recommender.spec):
        raise SpecInvalid(f"{problem}.")
    unseen = check_schedules(recommender.spec) + check_columns(recommender.spec.data)
    typer.echo(f"{file} is a valid Recommender named {recommender.metadata.name!r}.")
    for sentence in unseen:
        typer.echo(sentence)


def check_schedules(spec: RecommenderSpec) -> list[str]:
    """Makes sure that schedules fire, as the operator reads them.

    Returns:
        A sentence where this machine cannot know.

    Raises:
        SpecInvalid: one never does.
    """
    if spec.schedule is None and spec.renewal is None:
        return []
    try:
        from shoploop.controller.decide.due import slots_of
    except ImportError:
        return ["Whether its schedule ever fires was not looked at: pip install 'shoploop[operator]' for that."]
    _, _, amiss = slots_of(spec, datetime.now(UTC))
    for one in amiss:
        raise SpecInvalid(one.message)
    return []
