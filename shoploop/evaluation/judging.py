"""What the gate says of an estimate from answers that were given already."""

from shoploop.api.v1alpha1 import GateSpec
from shoploop.evaluation.counterfactual import Estimate

MARGIN = 0.03
"""How much fewer taken items an answer still count as not worse, as a share."""


def passes(estimate: Estimate, gate_spec: GateSpec) -> bool:
    """Whether the one-sided bound is above what the rule asks for."""
    low, _ = estimate.interval(2 * gate_spec.confidence - 1)
    return low > (-MARGIN if gate_spec.rule == "NotWorse" else 0.0)
