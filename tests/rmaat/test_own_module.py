"""The example of a user's own modules: they train through amrb, with the gradient of BPTT."""

import importlib.util
from pathlib import Path

import pytest
import torch

from rmaat.gradient.backprop import amrb, bptt

PATH = Path(__file__).parents[2] / "examples" / "amrb_own_module.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("amrb_own_module", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ChunkGRU", "RMT"])
def test_it_trains(example, kind):
    """A constant answer has the error 1; half of it is far outside what 640 sequences leave to chance."""
    torch.manual_seed(0)
    _, last = example.train(getattr(example, kind)())
    assert last < .5


@pytest.mark.parametrize("kind", ["ChunkGRU", "RMT"])
def test_its_gradient_is_that_of_bptt(example, kind):
    grads = []
    for algorithm in (bptt, amrb):
        torch.manual_seed(0)
        model = getattr(example, kind)().double()
        signal = torch.rand(3, 5, 4, dtype=torch.float64)
        outs, memory = algorithm(model.step, list(signal.unbind(1)), model.start(3).double(), list(model.parameters()))
        (torch.stack(outs).mean() + memory.square().sum()).backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    # float64: the same operations, sums over five segments in another order
    assert (grads[0] - grads[1]).norm() <= 1e-12 * grads[0].norm()


@pytest.mark.slow
def test_a_compiled_step():
    """torch.compile sees the step as any function; the backend traces forward and backward and compiles nothing."""
    grads = []
    for algorithm, backend in ((bptt, None), (amrb, "aot_eager")):
        torch.manual_seed(0)
        cell, x = torch.nn.GRUCell(3, 4).double(), torch.randn(5, 2, 3, dtype=torch.float64)

        def step(x_t, memory, cell=cell):
            return memory.sum(), cell(x_t, memory)

        outs, memory = algorithm(torch.compile(step, backend=backend) if backend else step, list(x),
                                 torch.zeros(2, 4, dtype=torch.float64), list(cell.parameters()))
        (sum(outs) + memory.square().sum()).backward()
        grads.append(torch.cat([p.grad.flatten() for p in cell.parameters()]))
    assert (grads[0] - grads[1]).norm() <= 1e-12 * grads[0].norm()
