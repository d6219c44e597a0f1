"""What the API has a place for and a run cannot do yet: it is refused by name instead of being ignored."""

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.errors import SpecInvalid


def refuse_unbuilt(spec: RecommenderSpec) -> None:
    """Makes sure that a run can do everything that the spec asks of it.

    Raises:
        SpecInvalid: it cannot; every such field is named.
    """
    training = spec.training
    asked = {
        "spec.training.surfaces: say [Items]": list(training.surfaces) != ["Items"],
        "spec.training.nodes: say 1": training.nodes != 1,
        "spec.gate.counterfactual: say false": spec.gate.counterfactual,
        "spec.serving.candidate: leave it out": spec.serving.candidate is not None,
        "spec.online.enabled: say false": spec.online.enabled,
    }
    if problems := [what for what, wanted in asked.items() if wanted]:
        raise SpecInvalid("Not built into a run yet. " + "; ".join(problems) + ".")
