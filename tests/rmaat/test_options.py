"""Every pair of options of the recurrence in some case: gradient and random numbers are those of BPTT."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from foundation.errors import UserError
from rmaat.biology.biology import Biology
from rmaat.gradient.backprop import GRADIENT, amrb
from rmaat.gradient.memory_store import MEMORY_STORE, OnDevice
from rmaat.model.config import UNREAD, ModelConfig
from rmaat.model.layers import REPLAY
from rmaat.model.memory import RETENTION
from rmaat.model.model import RMAAT

BIOLOGY = Biology.load()
CONFIG = ModelConfig(vocab_size=20, num_classes=3, segment_length=4, num_segments=4, width=8, heads=2,
                     num_memory_tokens=2, gradient="bptt")
# Norm of the difference over the norm. float64: the same operations, sums over T segments in another order (some tens
# of roundings of 1e-16). bfloat16: BPTT adds the segments' gradients of a weight in bfloat16 (2**-9 a rounding, T terms
# and three products deep), a replay adds them in float32; float16 the same with an eighth of the rounding.
RELATIVE = {"float64": 1e-12, "bfloat16": .03, "float16": .004}


class Copies(OnDevice):
    """Stands for the host on a machine without a device: what comes back is another tensor."""

    def put(self, x):
        return x.clone()

    def get(self, x, device):
        return x.clone()


# A loss and the segments whose output it reads (from 0, of T).
LOSSES = {
    "memory": (lambda outs, memory: memory.square().sum(), lambda T: set()),
    "last": (lambda outs, memory: outs[-1].square().sum() + memory.sum(), lambda T: {T - 1}),
    "every": (lambda outs, memory: sum((t + 1) * out.square().sum() for t, out in enumerate(outs)),
              lambda T: set(range(T))),
    "mean": (lambda outs, memory: torch.stack(outs).mean(0).square().sum() + memory.sum(), lambda T: set(range(T))),
    "first": (lambda outs, memory: outs[0].square().sum(), lambda T: {0}),
}
OPTIONS = {
    "retention": list(RETENTION), "loss": list(LOSSES), "keep_last": [0, 1, 3, 99],
    "lengths": [(16, 16), (15, 8, 4), (3,)], "attention": ["astromorphic", "softmax", "linear"], "dropout": [0.0, .3],
    "unread": list(UNREAD), "replay": list(REPLAY), "store": ["device", "host", "copies"], "precision": list(RELATIVE),
}


def pairwise(options):
    """Cases such that every two values of two options meet: greedily, each case the one with most new pairs of many."""
    names, cases, generator = list(options), [], torch.Generator().manual_seed(0)
    missing = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in options[a] for y in options[b]}
    while missing:
        candidates = [dict(min(missing, key=str)) for _ in range(30)]
        for case in candidates:
            for name in names:
                if name not in case:
                    case[name] = options[name][int(torch.randint(len(options[name]), (), generator=generator))]
        covered = [set(itertools.combinations([(name, case[name]) for name in names], 2)) for case in candidates]
        best = max(range(30), key=lambda k: len(covered[k] & missing))
        missing -= covered[best]
        cases.append({name: candidates[best][name] for name in names})
    return cases


CASES = pairwise(OPTIONS)


def run(case, algorithm, replay):
    """Loss, gradients and the next random number after one forward and backward pass."""
    torch.manual_seed(0)
    fields = {name: case[name] for name in ("retention", "attention", "dropout")}
    model = RMAAT(replace(CONFIG, replay=replay, **fields), BIOLOGY)
    model.to(torch.float64 if case["precision"] == "float64" else torch.float32)
    tokens, lengths = torch.randint(20, (len(case["lengths"]), max(case["lengths"]))), torch.tensor(case["lengths"])
    segments = model.cut(tokens, lengths)
    loss, reads = LOSSES[case["loss"]]
    unread = getattr(model, UNREAD[case["unread"]])
    parts = [(model.step if t in reads(len(segments)) else unread, x) for t, x in enumerate(segments)]
    torch.manual_seed(1)
    half = getattr(torch, case["precision"])
    with torch.autocast("cpu", torch.bfloat16 if half == torch.float64 else half, enabled=half != torch.float64):
        outs, memory = algorithm(lambda x, m: x[0](x[1], m), parts, model.start(len(tokens)), list(model.parameters()))
        value = loss(outs, memory)
    value.backward()
    return value.detach(), [p.grad for p in model.parameters()], torch.rand(1)


def flat(grads):
    return torch.cat([grad.flatten() for grad in grads if grad is not None])


def test_every_pair_of_options_is_there():
    assert len(CASES) < 60
    for (a, x), (b, y) in itertools.combinations([(name, value) for name in OPTIONS for value in OPTIONS[name]], 2):
        assert a == b or any(case[a] == x and case[b] == y for case in CASES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(value) for value in case.values()))
def test_gradient_is_that_of_bptt(case):
    store = Copies() if case["store"] == "copies" else MEMORY_STORE[case["store"]]
    relative = RELATIVE[case["precision"]]
    expected, grads, after = run(case, GRADIENT["bptt"], "segment")
    value, found, found_after = run(case, lambda *arguments: amrb(
        *arguments, keep_last=case["keep_last"], store=store), case["replay"])
    torch.testing.assert_close(value, expected, rtol=relative, atol=0)
    pairs = [(torch.zeros(1) if grad is None else grad, torch.zeros_like(grad) if other is None else other)
             for grad, other in zip(grads, found, strict=True) if grad is not None or other is not None]
    grads, found = (flat(side) for side in zip(*pairs, strict=True))
    assert grads.any() and (found - grads).norm() <= relative * grads.norm()
    assert torch.equal(after, found_after)


@pytest.mark.parametrize("replay", REPLAY)
@pytest.mark.parametrize("gradient", GRADIENT)
def test_through_the_models_own_forward(gradient, replay):
    """The config's fields reach the algorithm: one gradient for all."""
    tokens, lengths, grads = torch.arange(16).repeat(2, 1), torch.tensor([16, 13]), []
    options = {"keep_last": 2, "memory_store": "host"} if gradient == "amrb" else {}
    for fields in ({}, {"gradient": gradient, "replay": replay} | options):
        torch.manual_seed(0)
        model = RMAAT(replace(CONFIG, dropout=.2, **fields), BIOLOGY).double()
        model(tokens, lengths).square().sum().backward()
        grads.append(flat([p.grad for p in model.parameters()]))
    assert (grads[0] - grads[1]).norm() <= 1e-12 * grads[0].norm()


# ------------------------------------------------------------------------------------------ what runs, and when


@pytest.mark.parametrize(("keep_last", "expected"), [
    (0, "0 1 2 3 | 3+ 2+ 1+ 0+"), (1, "0 1 2 3+ | 2+ 1+ 0+"), (3, "0 1+ 2+ 3+ | 0+"), (9, "0+ 1+ 2+ 3+ |")])
def test_what_runs_when(keep_last, expected):
    """Segments in the order in which they run, + with a graph; | is where the backward pass starts."""
    seen, weight = [], torch.ones(2, dtype=torch.float64).requires_grad_()

    def step(x, memory):
        seen.append(f"{x}{'+' * torch.is_grad_enabled()}")
        return None, torch.sin(weight * memory + x)

    _, memory = amrb(step, [0, 1, 2, 3], torch.ones(2).double(), [weight], keep_last=keep_last)
    seen.append("|")
    memory.sum().backward()
    assert " ".join(seen) == expected


def test_what_runs_when_layer_by_layer():
    """Segment and block, + with a graph: the last block of a replay keeps its graph, the others run once more."""
    torch.manual_seed(0)
    model, seen = RMAAT(replace(CONFIG, gradient="amrb", replay="layer", keep_last=1, layers=3), BIOLOGY), []
    for name, block in zip("abc", model.blocks, strict=True):
        block.register_forward_pre_hook(
            lambda module, inputs, name=name: seen.append(f"{name}{'+' * torch.is_grad_enabled()}"))
    logits = model(torch.arange(12)[None], torch.tensor([12]))
    seen.append("|")
    logits.sum().backward()
    assert " ".join(seen) == "a b c a b c a b c+ | b+ a+ a b c+ b+ a+ a b c+ b+ a+"


def test_a_parameter_that_was_not_named_is_refused_at_the_first_replay_where_no_graph_is_kept():
    weight = torch.ones(2).requires_grad_()
    _, memory = amrb(lambda x, m: (m, weight * m), [0, 1], torch.ones(2, requires_grad=True), [], keep_last=0)
    with pytest.raises(UserError, match="not in `parameters`"):
        memory.sum().backward()


@pytest.mark.slow
@pytest.mark.parametrize("keep_last", [1500])
def test_two_thousand_segments(keep_last):
    torch.manual_seed(0)
    cell, x = nn.GRUCell(3, 4).double(), torch.randn(2000, 1, 3, dtype=torch.float64)
    grads = []
    for algorithm in (GRADIENT["bptt"], lambda *arguments: amrb(*arguments, keep_last=keep_last)):
        cell = copy.deepcopy(cell)
        cell.zero_grad()
        outs, h = algorithm(lambda x_t, h, cell=cell: (h.sum(), cell(x_t, h)), list(x), torch.zeros(1, 4).double(),
                            list(cell.parameters()))
        (torch.stack(outs).mean() + h.square().sum()).backward()
        grads.append(flat([p.grad for p in cell.parameters()]))
    assert (grads[0] - grads[1]).norm() <= 1e-12 * grads[0].norm()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("fields", [{"keep_last": 1}, {"keep_last": 0, "replay": "layer", "dropout": .3}],
                         ids=["plain", "layer"])
def test_under_autocast_the_gradient_is_as_near_to_float64_as_that_of_bptt(fields, dtype):
    """Both are off by the rounding of the half type; AMRB's replay adds no error of its own to it."""
    tokens, lengths, off = torch.arange(16).repeat(2, 1), torch.tensor([16, 13]), {}
    grads = {}
    for name, gradient, kind in (("exact", "bptt", torch.float64), ("bptt", "bptt", torch.float32),
                                 ("amrb", "amrb", torch.float32)):
        torch.manual_seed(0)
        options = {key: value for key, value in fields.items() if gradient == "amrb" or key == "dropout"}
        model = RMAAT(replace(CONFIG, gradient=gradient, **options), BIOLOGY).to(kind)
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype, enabled=kind == torch.float32):
            loss = model(tokens, lengths).float().square().sum() if kind == torch.float32 else model(
                tokens, lengths).square().sum()
        (1024 * loss).backward()  # as GradScaler does, so that float16 loses nothing below its range
        grads[name] = flat([p.grad for p in model.parameters()]).double()
    for name in ("bptt", "amrb"):
        off[name] = float((grads[name] - grads["exact"]).norm() / grads["exact"].norm())
    assert off["amrb"] <= 1.5 * off["bptt"] and off["bptt"] < {torch.float16: .01, torch.bfloat16: .08}[dtype], off


@pytest.mark.slow
def test_two_thousand_segments_of_the_whole_network(shapes_unchecked):
    tokens, grads = torch.arange(2000)[None] % 5, []
    for fields in ({}, {"gradient": "amrb", "keep_last": 1700}):
        torch.manual_seed(0)
        model = RMAAT(ModelConfig(vocab_size=5, num_classes=2, segment_length=1, num_segments=2000, width=2, layers=1,
                                  num_memory_tokens=1, feedforward=1, **({"gradient": "bptt"} | fields)), BIOLOGY)
        model.double()(tokens, torch.tensor([2000])).square().sum().backward()
        grads.append(flat([p.grad for p in model.parameters()]))
    # float64: 2000 terms of a sum in another order
    assert (grads[0] - grads[1]).norm() <= 1e-11 * grads[0].norm()


def test_a_scaled_loss_and_accumulated_steps():
    """GradScaler multiplies the loss by 65,536 and divides the gradients; two backward passes add up."""
    grads = []
    for fields in ({"gradient": "bptt"}, {"gradient": "amrb", "keep_last": 1}):
        torch.manual_seed(0)
        model = RMAAT(replace(CONFIG, **fields), BIOLOGY).double()
        optimizer, scaler = torch.optim.SGD(model.parameters(), lr=.1), torch.amp.GradScaler("cpu")
        for start in (0, 5):
            logits = model(torch.arange(start, start + 12)[None], torch.tensor([12]))
            scaler.scale(logits.square().sum()).backward()
        scaler.unscale_(optimizer)
        grads.append(flat([p.grad for p in model.parameters()]))
        before = flat([p.detach().clone() for p in model.parameters()])
        scaler.step(optimizer)
        assert not torch.equal(before, flat([p.detach() for p in model.parameters()]))
    assert (grads[0] - grads[1]).norm() <= 1e-12 * grads[0].norm()
