"""Trainings do without torch's compiler and symbolic shapes, and who asks for these still gets them."""

import sys
from contextlib import nullcontext
from importlib.util import spec_from_loader

import pytest
import torch

from shoploop.compute import eager
from shoploop.compute.cores import one_thread
from shoploop.compute.device import training_device


@pytest.fixture
def uncompiled(monkeypatch):
    """As in a process in which nobody has asked for the compiler."""
    for places, name in ((sys.modules, eager.NAME), (vars(torch), "_dynamo"), (sys.modules, eager.SHAPES)):
        monkeypatch.setitem(places, name, None)  # what is not there now is taken away again afterwards
        monkeypatch.delitem(places, name)


class Compiler:
    """What is imported in the place of the real modules, which takes two seconds."""

    def find_spec(self, name, path, target=None):
        return spec_from_loader(name, self) if name in (eager.NAME, eager.SHAPES) else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__path__, module.reset = ["here"], "reset"
        module.expect_true = lambda found, skip=0: ("asked", found)


@pytest.fixture
def imported(monkeypatch):
    """Whether the compiler is there."""
    monkeypatch.setattr(sys, "meta_path", [Compiler(), *sys.meta_path])
    return lambda: "reset" in vars(sys.modules[eager.NAME])


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD"])
@pytest.mark.parametrize("before", [one_thread, lambda: nullcontext(training_device())])
def test_an_optimiser_steps_and_is_stored_without_the_compiler(uncompiled, imported, kind, before):
    with before():
        weight = torch.nn.Parameter(torch.ones(3))
        optimiser = getattr(torch.optim, kind)([weight], lr=0.1)
        weight.sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        optimiser.load_state_dict(optimiser.state_dict())
    assert (weight < 1).all() and weight.grad is None
    assert not imported()


@pytest.mark.parametrize("name, value", [("reset", "reset"), ("__path__", ["here"])])
def test_who_asks_for_more_gets_the_real_one(uncompiled, imported, name, value):
    eager.spare_compiler()
    stand_in = torch._dynamo
    assert getattr(stand_in, name) == value
    assert imported() and sys.modules[eager.NAME] is torch._dynamo is not stand_in
    assert getattr(stand_in, name) == value, "also who has held on to the other"


def test_a_compiler_that_is_there_stays(uncompiled, imported):
    import torch._dynamo

    there = torch._dynamo
    eager.spare_compiler()
    assert imported() and torch._dynamo is there


def test_attention_with_padding_does_without_symbolic_shapes(uncompiled, imported):
    eager.spare_compiler()
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    x, padded = torch.ones(1, 3, 4), torch.tensor([[False, False, True]])
    attention(x, x, x, key_padding_mask=padded)[0].sum().backward()
    with pytest.raises(AssertionError, match="key_padded_mask"):
        attention(x, x, x, key_padding_mask=padded[:, :2])
    assert "reset" not in vars(sys.modules[eager.SHAPES])


def test_who_asks_about_a_size_that_is_no_number_asks_the_real_ones(uncompiled, imported):
    eager.spare_compiler()
    from torch.fx.experimental.symbolic_shapes import expect_true, reset

    assert reset == "reset" and "reset" in vars(sys.modules[eager.SHAPES])
    assert expect_true("a symbol") == ("asked", "a symbol")
    assert expect_true(True) is True
