"""A replay is its forward pass again, or the gradient is refused, whatever a step reads or changes elsewhere.

`RIGHT`: sources that are put back for the replay; the gradient is BPTT's, and afterwards the source is as BPTT leaves
it. `REFUSED`: what cannot be put back, in a segment that stands anywhere.
"""

import contextlib
import itertools
import os
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.flop_counter import FlopCounterMode

from foundation.errors import UserError
from rmaat.gradient.alike import Fingerprint
from rmaat.gradient.backprop import amrb, bptt, checkpointed

# beartype draws from Python's random numbers to choose what it checks of a list
pytestmark = pytest.mark.usefixtures("shapes_unchecked")
REPLAYS = {"amrb": amrb, "amrb, none kept": partial(amrb, keep_last=0), "amrb, three kept": partial(amrb, keep_last=3),
           "checkpointed": checkpointed}
T = 7
TALLY = 0  # a global variable that a step counts in


def ones(*shape):
    return torch.ones(*shape, dtype=torch.float64)


class Weighed(nn.Module):
    """A step with one weight; what differs between segments is `factor`."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([.5, .7], dtype=torch.float64))

    def factor(self):
        return 1.0

    def forward(self, x, m):
        factor = self.factor()
        return self.w * m * factor, torch.sin(self.w * m * factor + x)

    def left(self):
        """What it leaves behind."""


class PythonsRandom(Weighed):
    def factor(self):
        return 2.0 if random.random() < .5 else 1.0  # LayerDrop

    def left(self):
        return random.random()


class NumPysRandom(Weighed):
    def factor(self):
        return float(np.random.rand())  # noqa: NPY002

    def left(self):
        return np.random.rand()  # noqa: NPY002


class OwnGenerators(Weighed):
    def __init__(self):
        super().__init__()
        self.numpy, self.python = np.random.default_rng(1), random.Random(2)
        self.old, self.torch = np.random.RandomState(3), torch.Generator().manual_seed(4)

    def factor(self):
        return self.numpy.random() + self.python.random() + self.old.rand() + float(
            torch.rand((), generator=self.torch))

    left = factor


class Counter(Weighed):
    def __init__(self):
        super().__init__()
        self.calls, self.log, self.state = 0, [], {"calls": 0}

    def factor(self):
        self.calls += 1
        self.state["calls"] += 2
        self.log.append(self.calls)
        return 1 + .1 * self.calls + .01 * self.state["calls"]

    def left(self):
        return self.calls, self.state["calls"]


class Toggle(Weighed):
    def __init__(self):
        super().__init__()
        self.odd = False

    def factor(self):
        self.odd = not self.odd
        return 2.0 if self.odd else 1.0

    def left(self):
        return self.odd


class InPlace(Weighed):
    """A buffer that is changed in place, and one that is put in its place anew (an average over calls)."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", ones(()))
        self.register_buffer("average", ones(2))

    def forward(self, x, m):
        self.seen.add_(1)
        self.average = .9 * self.average + .1 * m.detach()
        return self.average * self.w, torch.sin(self.w * m / self.seen.clone() + self.average)

    def left(self):
        return float(self.seen), self.average.tolist()


class Normed(Weighed):
    """BatchNorm's statistics and spectral_norm's vectors: torch's own buffers that a forward pass moves."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2).double()
        self.lin = spectral_norm(nn.Linear(2, 2).double(), n_power_iterations=1)

    def forward(self, x, m):
        m = torch.sin(self.norm(self.lin(m)) + x * torch.arange(5, dtype=torch.float64)[:, None])
        return m * self.w, m

    def left(self):
        buffers = [self.norm.running_mean, self.norm.running_var, self.norm.num_batches_tracked, *self.lin.buffers()]
        return [buffer.tolist() for buffer in buffers]


RIGHT = [PythonsRandom, NumPysRandom, OwnGenerators, Counter, Toggle, InPlace, Normed]


def gradients(algorithm, kind, lead=None):
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    step = kind()
    memory = ones(5, 2) * torch.arange(1, 6, dtype=torch.float64)[:, None] if kind is Normed else ones(2)
    outs, memory = algorithm(step, [.1 * t for t in range(T)], memory, list(step.parameters()))
    (memory.pow(3).sum() + sum(out.sum() for out in outs)).backward()
    return [p.grad for p in step.parameters()], step.left()


@pytest.mark.parametrize("kind", RIGHT)
@pytest.mark.parametrize("algorithm", REPLAYS)
def test_what_a_step_keeps_is_put_back_and_moves_once(algorithm, kind):
    expected, left = gradients(bptt, kind)
    found, afterwards = gradients(REPLAYS[algorithm], kind)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    assert afterwards == left


def closure(counted):
    """Steps that count: in a variable around them, a list around them, a global one, an attribute of an object."""
    w, n, calls, box = torch.tensor([.5, .7], dtype=torch.float64, requires_grad=True), 0, [0], Box()

    def around(x, m):
        nonlocal n
        n += 1
        return None, torch.sin(w * m + n)

    def listed(x, m):
        calls[0] += 1
        return None, torch.sin(w * m + calls[0])

    def tallied(x, m):
        global TALLY
        TALLY += 1
        return None, torch.sin(w * m + TALLY)

    return w, {"a variable": around, "a list": listed, "a global": tallied, "an object": partial(box.step, w),
               "a bound method": Boxed(w).step}[counted]


class Box:
    def __init__(self):
        self.count = 0

    def step(self, w, x, m):
        self.count += 1
        return None, torch.sin(w * m + self.count)


class Boxed(Box):
    def __init__(self, w):
        super().__init__()
        self.w = w

    def step(self, x, m):
        return super().step(self.w, x, m)


@pytest.mark.parametrize("counted", ["a variable", "a list", "a global", "an object", "a bound method"])
@pytest.mark.parametrize("algorithm", REPLAYS)
def test_counters_are_put_back_wherever_they_stand(algorithm, counted):
    global TALLY
    grads = []
    for one in (bptt, REPLAYS[algorithm]):
        TALLY = 0
        w, step = closure(counted)
        _, memory = one(step, range(T), ones(2), [w])
        memory.sum().backward()
        grads.append(w.grad)
    assert (T if counted == "a global" else 0) == TALLY
    torch.testing.assert_close(*grads, rtol=1e-12, atol=0)


def from_a_file(folder):
    path = folder / "count"
    path.write_text("0")

    def read():
        path.write_text(str(int(path.read_text()) + 1))
        return int(path.read_text())

    return read


REFUSED = {
    "an iterator": lambda folder: partial(next, itertools.count(1)),
    "the system's random numbers": lambda folder: lambda: 1 + int.from_bytes(os.urandom(6), "big") / 2**48,
    "a fresh generator": lambda folder: lambda: np.random.default_rng().random(),
    "a file": from_a_file,
}


@pytest.mark.parametrize("at", range(T - 1))
@pytest.mark.parametrize("sees", ["memory", "out"])
@pytest.mark.parametrize("source", REFUSED)
def test_a_replay_that_differs_is_refused_wherever_it_stands(tmp_path, source, sees, at):
    draw = REFUSED[source](tmp_path)
    for algorithm in (amrb, checkpointed):
        w = torch.tensor([.5, .7], dtype=torch.float64, requires_grad=True)

        def step(t, m, w=w):
            other = 1e-4 * draw() if t == at else 0
            return w * m * (1 + other * (sees == "out")), torch.sin(w * m * (1 + other * (sees == "memory")))

        outs, memory = algorithm(step, range(T), ones(2), [w])
        with pytest.raises(UserError, match=rf"replay of segment {at + 1} gives another (memory|out_t)"):
            (memory + sum(outs)).sum().backward()


class Remembers(Weighed):
    """Reads, at some segments, what the segment before left in an attribute."""

    def __init__(self, at=(), kept=lambda m: m):
        super().__init__()
        self.at, self.kept, self.last, self.t = set(at), kept, None, 0

    def forward(self, x, m):
        if self.last is not None and self.t in self.at:
            m = m + .3 * self.last
        m = torch.sin(self.w * m + x)
        self.last, self.t = self.kept(m), self.t + 1
        return self.w * m, m


@pytest.mark.parametrize("segments", [2, 5])
@pytest.mark.parametrize("algorithm", REPLAYS)
def test_a_tensor_kept_with_its_graph_is_refused_where_it_is_read(algorithm, segments):
    for at in range(1, segments):
        step = Remembers(at=[at])
        with pytest.raises(UserError, match="under the name 'last', and reads it") if "amrb" in algorithm else \
                contextlib.nullcontext():
            outs, memory = REPLAYS[algorithm](step, [.1] * segments, ones(2), list(step.parameters()))
            (memory + sum(outs)).sum().backward()


@pytest.mark.parametrize("step", [Remembers, partial(Remembers, at=range(9), kept=torch.Tensor.detach)],
                         ids=["never read", "detached"])
@pytest.mark.parametrize("algorithm", REPLAYS)
def test_a_tensor_kept_to_be_shown_or_without_a_graph_is_right(algorithm, step):
    grads = []
    for one in (bptt, REPLAYS[algorithm]):
        torch.manual_seed(0)
        model = step()
        for _ in range(2):  # the second time, the attribute holds the end of the first
            model.t = 0
            outs, memory = one(model, [.1] * 5, ones(2), list(model.parameters()))
            (memory + sum(outs)).sum().backward()
        grads.append(model.w.grad)
    torch.testing.assert_close(*grads, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("size", "place"), [(3, 1), (1024, 1000), (5000, 4321), (100_003, 77_777)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_one_number_of_a_large_output_that_differs_is_seen(dtype, size, place):
    w, fresh = torch.ones((), requires_grad=True), itertools.count()

    def step(x, m):
        out = torch.ones(size, dtype=dtype)
        out[place] += 20 * next(fresh)
        return out, m * w

    _, memory = amrb(step, range(3), torch.ones(()), [w])
    with pytest.raises(UserError, match="gives another out_t"):
        memory.backward()


def test_autocast_around_the_forward_pass_alone_does_not_blur_what_is_compared():
    """Fingerprints are taken in single precision in both passes: sums of 10,000 numbers agree to rounding."""
    x = torch.linspace(1, 2, 10_007)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = Fingerprint.of(x)
    assert float(inside.deviation(Fingerprint.of(x))) == 0


@pytest.mark.parametrize("algorithm", [amrb, checkpointed])
def test_without_gradient_nothing_is_looked_through(algorithm, monkeypatch):
    monkeypatch.setattr("rmaat.gradient.held_state._Survey.__init__", None)
    w = torch.ones((), requires_grad=True)
    with torch.no_grad():
        _, memory = algorithm(lambda x, m: (None, m * w), range(3), torch.ones(()), [w])
    assert float(memory) == 1


def test_outputs_of_other_shapes_or_number_are_refused():
    w, fresh = torch.ones((), requires_grad=True), itertools.count()
    _, memory = amrb(lambda x, m: (torch.ones(2 + next(fresh)), m * w), range(3), torch.ones(()), [w])
    with pytest.raises(UserError, match="gives another out_t"):
        memory.backward()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_in_both_is_alike_and_in_one_is_not(value):
    w, late = torch.ones((), requires_grad=True), itertools.count()
    _, memory = amrb(lambda x, m: (torch.full((3,), value), m * w), range(4), torch.ones(()), [w])
    memory.backward()
    _, memory = amrb(lambda x, m: (torch.full((3,), value if next(late) > 3 else 1.0), m * w), range(4), torch.ones(()),
                     [w])
    with pytest.raises(UserError, match="gives another out_t"):
        memory.backward()


def test_a_frozen_parameter_that_a_step_moves_is_refused():
    class Mover(Weighed):
        def __init__(self):
            super().__init__()
            self.teacher = nn.Parameter(ones(2), requires_grad=False)

        def factor(self):
            self.teacher.mul_(.9)
            return self.teacher.clone()

    step = Mover()
    with pytest.raises(UserError, match=r"a parameter without gradient in place, of shape \(2,\).*register_buffer"):
        amrb(step, range(T), ones(2), [step.w])
    with pytest.raises(UserError, match="a parameter without gradient"):
        checkpointed(step, range(T), ones(2))


@pytest.mark.parametrize("algorithm", ["amrb", "checkpointed"])
def test_parameters_that_are_swapped_for_the_forward_pass_alone_are_refused(algorithm):
    lin = nn.Linear(2, 2).double()
    other = {name: (p.detach() * 2).requires_grad_() for name, p in lin.named_parameters()}

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = lin

        def forward(self, m):
            return REPLAYS[algorithm](lambda x, m: (None, torch.tanh(self.lin(m))), range(4), m, list(lin.parameters()))

    _, memory = torch.func.functional_call(Whole(), {f"lin.{name}": p for name, p in other.items()}, (ones(2),))
    with pytest.raises(UserError, match=f"{algorithm}: the (replay|step uses a tensor)"):
        memory.sum().backward()


def test_a_buffer_that_is_moved_before_the_backward_pass_is_put_back():
    """An average over steps of training, updated between loss and backward, is not what the forward pass saw."""
    found = []
    for algorithm in (bptt, amrb, checkpointed):
        step = InPlace()
        _, memory = algorithm(step, range(T), ones(2), [step.w])
        step.average = step.average * 3
        step.seen.mul_(5)
        memory.sum().backward()
        found.append(step.w.grad)
        assert float(step.seen) == 5 * (T + 1)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-12, atol=0)


def test_an_encoder_outside_the_step_is_named_and_works_in_x_t():
    encoder, w = nn.Linear(2, 2).double(), torch.ones(2, dtype=torch.float64, requires_grad=True)
    encoded = torch.tanh(encoder(ones(2)))
    with pytest.raises(UserError, match=r"computed outside it that needs a gradient.*Tanh.*hand it over in x_t"):
        _, memory = amrb(lambda x, m: (None, torch.sin(w * m + encoded)), range(4), ones(2), [w, *encoder.parameters()])
        memory.sum().backward()
    grads = []
    for algorithm in (bptt, amrb):
        encoder.zero_grad()
        encoded = torch.tanh(encoder(ones(2)))
        _, memory = algorithm(lambda x, m: (None, torch.sin(w * m + x)), [encoded] * 4, ones(2), [w])
        memory.sum().backward()
        grads.append(encoder.weight.grad.clone())
    torch.testing.assert_close(*grads, rtol=1e-12, atol=0)


@pytest.mark.parametrize("what", ["memory", "x_t", "parameters"])
def test_a_derivative_forwards_is_refused(what):
    values = {name: torch.ones(2, dtype=torch.float64) for name in ("memory", "x_t", "parameters")}
    with torch.autograd.forward_ad.dual_level():
        values[what] = torch.autograd.forward_ad.make_dual(values[what], ones(2))
        w = values["parameters"] if what == "parameters" else values["parameters"].requires_grad_()
        w = w.requires_grad_()
        with pytest.raises(UserError, match="forward mode"):
            amrb(lambda x, m: (None, torch.sin(w * m + x)), [values["x_t"]] * 3, values["memory"], [w])


def lin_step():
    lin = nn.Linear(2, 2)
    return lin, lambda x, m: (None, torch.tanh(lin(m)))


@pytest.mark.parametrize(("change", "message"), [
    ({"parameters": nn.Linear(2, 2)}, r"parameters is a module; give .* list\(module.parameters\(\)\)"),
    ({"parameters": nn.Linear(2, 2).weight}, "parameters is a Parameter; give a list of tensors"),
    ({"parameters": 3}, "parameters is a int"),
    ({"parameters": ["w"]}, "parameters holds a str, not a tensor"),
    ({"parameters": nn.Linear(2, 2).named_parameters()}, "parameters holds a tuple, not a tensor; named_parameters"),
    ({"step": None}, "step = None cannot be called"),
    ({"step": lambda x, m: m}, r"the step returned a Tensor; it must return two: \(out_t, memory\)"),
    ({"step": lambda x, m: (m, m, m)}, "the step returned 3 values"),
    ({"segments": 5}, "segments is a int; give a list of x_t"),
])
def test_a_slip_in_the_arguments_is_said(change, message):
    lin, step = lin_step()
    given = {"step": step, "segments": range(3), "memory": torch.ones(2), "parameters": list(lin.parameters())} | change
    with pytest.raises(UserError, match=f"amrb: {message}"):
        amrb(**given)


def watched_run(algorithm, segments=4):
    torch.manual_seed(0)
    lin = nn.Linear(3, 3)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = lin

        def forward(self, x):
            return algorithm(lambda x, m: (None, torch.tanh(self.lin(m) + x)), list(x), torch.ones(2, 3),
                             list(self.parameters()))[1]

    model = Whole()
    model(torch.linspace(0, 1, segments * 6).reshape(segments, 2, 3)).sum().backward()
    return model


def test_flops_are_counted():
    """Forward passes, replays and products of the backward pass, 2 * 2 * 3 * 3 operations each."""
    product, counted = 2 * 2 * 3 * 3, []
    for algorithm in (bptt, amrb, checkpointed):
        with FlopCounterMode(display=False) as counter:
            watched_run(algorithm)
        counted.append(counter.get_total_flops() / product)
    # the first segment's memory needs no gradient: 4 + 4 for weights, 3 for memories; 3 or 4 replays more
    assert counted == [11, 14, 15]


def test_profiler_and_anomaly_mode_see_the_replays():
    expected = watched_run(bptt).lin.weight.grad
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        found = watched_run(amrb).lin.weight.grad
    assert {event.key: event.count for event in profile.key_averages()}["aten::addmm"] == 7
    torch.testing.assert_close(found, expected)
    with torch.autograd.detect_anomaly(check_nan=True):
        torch.testing.assert_close(watched_run(amrb).lin.weight.grad, expected)


def test_a_users_hooks_are_called_in_each_run_of_a_module():
    calls = []

    def hooked(step, segments, memory, parameters):
        lin = step.__closure__[0].cell_contents.lin
        lin.register_forward_pre_hook(lambda module, given: calls.append("before"))
        lin.register_forward_hook(lambda module, given, result: calls.append("after"))
        lin.register_full_backward_hook(lambda module, grad, given: calls.append("backward"))
        return amrb(step, segments, memory, parameters)

    found = watched_run(hooked).lin.weight.grad
    assert {name: calls.count(name) for name in calls} == {"before": 7, "after": 7, "backward": 4}
    torch.testing.assert_close(found, watched_run(bptt).lin.weight.grad)
