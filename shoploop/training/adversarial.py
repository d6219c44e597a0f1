"""Adversarial training: learn from the worst small change of item embeddings too (Miyato et al. 2017, section 3)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def perturbed(embeddings_IF: Tensor, radius: float) -> Iterator[None]:
    """Moves each embedding along its own gradient, the fast gradient's step, and back again on leaving.

    Args:
        embeddings_IF: With ``grad`` filled by a backward pass; cleared here, so that it never adds up over steps.
        radius: Length of the step as a share of each embedding's own length.
    """
    kept_IF = embeddings_IF.detach().clone()
    gradient_IF = embeddings_IF.grad
    assert gradient_IF is not None, "a backward pass comes first"
    with torch.no_grad():
        steepness_I1 = gradient_IF.norm(dim=1, keepdim=True).clamp_min(1e-12)
        embeddings_IF += radius * kept_IF.norm(dim=1, keepdim=True) * gradient_IF / steepness_I1
    embeddings_IF.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            embeddings_IF.copy_(kept_IF)
        embeddings_IF.grad = None
