"""keep_last = auto: what is free decides how many segments are replayed, and nothing else of a training."""

import dataclasses
import json
import sys

import pytest
import torch
from torch import nn

from foundation import machine
from foundation.cli import run
from rmaat.__main__ import app
from rmaat.biology.biology import Biology
from rmaat.gradient import free_memory
from rmaat.gradient.backprop import amrb
from rmaat.gradient.budget import Plan
from rmaat.gradient.free_memory import FreeMemory, free_bytes
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT
from rmaat.resources import measure
from rmaat.training import opening, run_folder
from rmaat.training.configs import recall
from rmaat.training.loop import fit
from rmaat.training.settings import change

BIOLOGY = Biology.load()
CONFIG = ModelConfig(50, 7, segment_length=37, num_segments=5, width=24, heads=3, num_memory_tokens=5)
TINY = ["task.num_segments=3", "task.segment=4", "task.train=10", "task.validation=6", "task.test=7",
        "model.segment_length=4", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "model.dropout=.2",
        "train.batch_size=4", "train.evaluate_every=5", "train.checkpoint_every=2", "train.steps=4"]
CPU = torch.device("cpu")


@pytest.fixture
def free(monkeypatch):
    """`free(n)`: so many bytes are free from now on."""
    def let(nbytes):
        monkeypatch.setattr(free_memory, "free_bytes", lambda device: nbytes)

    return let


def gradient(model, lengths):
    """The gradient of one step, and the step, which leaves none: the profiler does not see what was there before."""
    torch.manual_seed(3)
    tokens = torch.randint(50, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(1))

    def backward():
        nn.functional.cross_entropy(model(tokens, torch.tensor(lengths)), torch.arange(len(lengths)) % 7).backward()

    def step():
        backward()
        model.zero_grad(set_to_none=True)

    backward()
    found = torch.cat([p.grad.flatten() for p in model.parameters()])
    model.zero_grad(set_to_none=True)
    return found, step


def build(**fields):
    torch.manual_seed(0)
    return RMAAT(dataclasses.replace(CONFIG, dropout=.2, **fields), BIOLOGY)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, {"readout": "pooled", "rel_pos": "content"}], ids=str)
def test_what_is_free_decides_what_is_replayed_and_no_bit_of_the_gradient(fields, free):
    """Bit for bit: so a run that goes on elsewhere, with other memory, is the run that it was."""
    lengths = [185, 185, 111, 20, 150, 185]
    every, step = gradient(build(keep_last=0, **fields), lengths)
    least = measure(step)
    kept, peaks = [], []
    for nbytes in (1, 3 * least, 5 * least, 40 * least):  # half of it is taken
        free(nbytes)
        model = build(**fields)
        found, step = gradient(model, lengths)
        assert torch.equal(found, every)
        kept.append(model.plans[-1].keep_last)
        peaks.append(measure(step))
        assert peaks[-1] < 1.05 * max(nbytes / 2, least)
    assert kept[0] == 0 < kept[1] < kept[2] < kept[3] == 5 and peaks[1] < peaks[2] < peaks[3]


@pytest.mark.slow
def test_a_run_chooses_for_its_largest_batch(free):
    """Of lengths from 1 token to all places: then a sample ends in every segment, and each is read."""
    free(10**12)
    model = build()
    lengths = torch.tensor([185, 139, 93, 47, 1])
    assert model.plan(lengths).keep_last == 5
    model.budget.peak_bytes = model.plan(lengths).peak_bytes - 1
    assert model.budget.plans.clear() or model.plan(lengths).keep_last == 4
    assert build(keep_last=2).plan(lengths) is None and build(gradient="bptt").plan(lengths) is None


def test_a_segment_is_tried_only_where_no_larger_one_was():
    calls, weight, memory = [], torch.ones(3, requires_grad=True), FreeMemory()

    def step(x_t, m):
        calls.append(len(x_t))
        return None, torch.tanh(weight * m + x_t.sum())

    for rows, tries in (([5] * 4, 2), ([5, 5, 5, 3], 0), ([4], 0), ([5, 6], 2), ([6] * 3, 0)):
        calls.clear()
        amrb(step, [torch.ones(n) for n in rows], torch.zeros(3), [weight], keep_last=memory)[1].sum().backward()
        assert len(calls) == len(rows) + tries, rows


@pytest.mark.slow
def test_plans_of_batches_that_all_differ_do_not_pile_up():
    weight, memory = torch.ones(3, requires_grad=True), FreeMemory()
    for n in range(250, 0, -1):
        amrb(lambda x, m: (None, torch.tanh(weight * m + x.sum())), [torch.ones(n)], torch.zeros(3), [weight],
             keep_last=memory)
    assert 1 < len(memory.plans) <= 200 and len(memory.tried) == 1


def test_where_it_is_not_known_one_segment_keeps_its_graph(free, monkeypatch):
    free(None)
    model = build()
    gradient(model, [185, 40])
    assert model.plan(torch.tensor([185])) == Plan(1, 0)
    assert free_bytes(torch.device("meta")) is None
    monkeypatch.undo()
    model = RMAAT(dataclasses.replace(CONFIG, dropout=.1), BIOLOGY).to("meta")
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(3, 180, dtype=torch.int64, device="meta")).sum().backward()
    optimizer.step()
    assert all(p.grad.shape == p.shape and p.grad.is_meta for p in model.parameters())


def test_free_bytes_of_this_machine(monkeypatch, tmp_path):
    total = free_bytes(CPU)
    assert 2**20 < total < 2**50
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert free_bytes(CPU) == pytest.approx(total / 4, rel=.2)  # others take and give memory meanwhile
    (tmp_path / "max").write_text("5000\n")
    (tmp_path / "current").write_text("3800\n")
    monkeypatch.setattr(machine, "CGROUPS", ((str(tmp_path / "max"), str(tmp_path / "current")),))
    assert free_bytes(CPU) == 300
    (tmp_path / "max").write_text("max\n")  # no limit
    assert free_bytes(CPU) > 2**18
    monkeypatch.setattr(machine, "_system", lambda: None)
    assert free_bytes(CPU) is None
    assert machine.usable_memory() == float("inf")  # nothing is refused for a limit that nobody knows


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_free_bytes_of_a_card():
    device = torch.device("cuda")
    before = free_bytes(device)
    held = torch.empty(2**28, dtype=torch.uint8, device=device)
    assert before - free_bytes(device) == pytest.approx(2**28, rel=.1)
    del held
    assert free_bytes(device) == pytest.approx(before, rel=.05)


# ---------------------------------------------------------------------------------------------- in a run


def trained(folder, *settings, **options):
    trainer = opening.begin(change(recall(), [*TINY, *settings]), folder, **options)
    fit(trainer, quiet=True)
    return trainer


@pytest.mark.slow
def test_a_run_keeps_its_choice(tmp_path, free, capsys):
    free(10**12)
    experiment = change(recall(), TINY)
    trainer = opening.begin(experiment, tmp_path / "run")
    assert trainer.kept == 3 and trainer.model.gradient.keywords["keep_last"] == 3
    assert json.loads((tmp_path / "run/environment.json").read_text())["keep_last"] == 3
    again = opening.begin(experiment, tmp_path / "run", resume=True)
    assert again.kept == 3 and "note" not in capsys.readouterr().err
    free(1)
    less = opening.begin(experiment, tmp_path / "run", resume=True)
    assert less.kept == 0
    assert "began with the graphs of 3 segments kept, now 0 fit" in capsys.readouterr().err
    free(1)
    opening.begin(experiment, tmp_path / "small")
    free(10**12)
    assert opening.begin(experiment, tmp_path / "small", resume=True).kept == 0  # as it began
    assert run_folder.read(tmp_path / "small").environment["keep_last"] == 0


@pytest.mark.slow
def test_the_weights_do_not_depend_on_what_is_free(tmp_path, free):
    weights = []
    for name, nbytes, setting in (("all", 10**12, "auto"), ("none", 1, "auto"), ("one", 1, "1")):
        free(nbytes)
        trainer = trained(tmp_path / name, f"model.keep_last={setting}")
        assert trainer.kept == {"all": 3, "none": 0, "one": None}[name]
        weights.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])


@pytest.mark.slow
def test_it_is_said_at_the_start(tmp_path, monkeypatch, capsys):
    settings = [part for setting in TINY for part in ("--set", setting)]

    def call(out, *more):
        monkeypatch.setattr(sys, "argv", ["rmaat", "train", "recall", "--out", str(tmp_path / out), *settings, *more])
        try:
            run(app)
        except SystemExit as end:
            assert not end.code
        return capsys.readouterr().err

    monkeypatch.setenv("ASTRO_PROGRESS", "1")
    assert "keep_last = auto: 3 of at most 3 segments keep their graph" in call("auto")
    assert "keep_last" not in call("two", "--set", "model.keep_last=2")
    assert "keep_last" not in call("bptt", "--set", "model.gradient=bptt")


def test_a_number_on_the_command_line_is_one():
    assert change(recall(), ["model.keep_last=2"]).model.keep_last == 2
    assert change(recall(), ["model.keep_last=auto"]).model.keep_last == "auto"


def test_nothing_moves_when_a_segment_is_tried(free):
    """Random numbers, `.grad` and buffers are those of a training without a choice."""
    free(10**12)
    left = []
    for fields in ({"gradient": "bptt"}, {}):
        model = build(**fields)
        model.head.weight.grad = torch.ones_like(model.head.weight)
        torch.manual_seed(5)
        logits = model(torch.arange(185)[None] % 50)
        left.append((logits.detach(), torch.rand(2), model.head.weight.grad.sum()))
    assert all(torch.equal(x, y) for x, y in zip(*left, strict=True))
