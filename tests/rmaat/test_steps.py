"""The table of whole steps: its arithmetic on known times, what it compares, and its command line."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from foundation.cli import run
from rmaat.__main__ import app
from rmaat.benchmark import measure, steps
from rmaat.benchmark.rivals import Encoder, Gru
from rmaat.model.model import RMAAT

SMALL = replace(measure.SHAPE, segment_length=16, num_segments=3, width=16, heads=2)
# seconds of a step; the product of two 1024 x 1024 matrices takes .1
TIMES = {"default": 1., "amrb": 1.4, "bptt": .9, "checkpointed": 2., "rmt": 1., "rmt amrb": 1.25, "rlt": .6,
         "encoder": 5., "gru": 1.2, "product": .1}


def known(runs, repeats, device="cpu"):
    return {name: [TIMES[name]] * repeats for name in runs}


@pytest.fixture
def program(monkeypatch, capsys):
    monkeypatch.setattr(steps, "in_turns", known)
    monkeypatch.setattr(steps, "training_step", lambda bench, model, shape: lambda: None)
    monkeypatch.setattr(steps, "products", lambda run: 9 * 10**9)  # of the product as well: 9e9 each

    def call(*options):
        monkeypatch.setattr(sys, "argv", ["rmaat", "benchmark", "steps", *map(str, options)])
        try:
            run(app)
        except SystemExit as end:
            assert not end.code
        return capsys.readouterr().out

    return call


@pytest.mark.slow
def test_ratios_targets_and_commands(program):
    found = json.loads(program("--json", "--no-bounds", "--segment-lengths", "128,512", "--segments", "8", "--repeats",
                               3, "--width", 16, "--batch", 16, "--device", "cpu"))
    speeds, ratios = found["tables"]
    assert [row[:3] for row in speeds["rows"]] == [[128, 8, 16], [512, 8, 8]]  # 32,768 tokens at most
    assert speeds["rows"][0][3:5] == ["16,384", "11,703"] and speeds["rows"][1][3] == "32,768"
    assert speeds["rows"][0][-1] == "11 %"  # .1 / .9 of the time for as many operations
    assert ratios["rows"][0][2:5] == ["0.80 (0.80-0.80)", "0.90 (0.90-0.90)", "1.50 (1.50-1.50)"]
    assert ratios["rows"][1][-1] == ("`python -m rmaat benchmark steps --segment-lengths 512 --segments 8 --batch 16 "
                                     "--repeats 3`")
    told = {target["what"]: (target["measured"], target["met"]) for target in found["targets"]}
    assert told == {
        "default over RMT amrb, segments of 128": (.8, True),
        "default over RMT amrb, segments of 512 and more": (.8, False),
        "bptt pruned over RMT bptt pruned, segments of 128": (.9, True),
        "TransformerEncoder over default, 1,024 tokens": (5., True), "GRU over default, 1,024 tokens": (1.2, False),
        "share of the matrix product's peak, bptt": (pytest.approx(1 / 9), False)}


def test_a_long_sequence_leaves_the_rivals_out(program):
    assert set(steps.networks(replace(SMALL, num_segments=300))) == set(steps.NAMES) - {"encoder", "gru"}
    assert set(steps.networks(SMALL)) == set(steps.NAMES)


@pytest.mark.slow
def test_over_the_bound(monkeypatch):
    """A pass without graph takes .3 of BPTT's step: 4 segments may take 1 + 3/4 .3 = 1.225, and take 1.4."""
    monkeypatch.setattr(steps, "in_turns", lambda runs, repeats, device: {
        "amrb": [1.4] * 3, "bptt": [1.] * 3, "forward": [.3] * 3})
    table, target = steps.bounds(measure.Bench(SMALL, batch=2, repeats=3), (4,))
    assert table.rows[0][:4] == [4, 2, 1.4, pytest.approx(1.225)]
    assert target.measured == pytest.approx(1.4 / 1.225) and not target.met


@pytest.mark.slow
def test_steps_train_and_count_what_they_multiply():
    bench = measure.Bench(SMALL, batch=2, repeats=1)
    tokens = torch.randint(256, (2, 48), generator=torch.Generator().manual_seed(1))
    for name, make in steps.networks(SMALL).items():
        model = make()
        with torch.no_grad():
            before = model(tokens)
        assert before.shape == (2, 10), name
        steps.training_step(bench, model, SMALL)()
        with torch.no_grad():
            assert not torch.equal(model(tokens), before), name
    a = torch.randn(5, 7)
    assert steps.products(lambda: a @ a.T) == 2 * 5 * 7 * 5
    model = RMAAT(replace(SMALL, gradient="bptt"))
    with FlopCounterMode(display=False) as counter:
        model(tokens).sum().backward()
    assert steps.products(steps.training_step(bench, model, SMALL)) == counter.get_total_flops()


def test_rivals_are_torchs_own_layers_of_the_same_sizes():
    encoder, gru = Encoder(SMALL), Gru(SMALL)
    assert len(encoder.layers.layers) == gru.layers.num_layers == SMALL.layers
    assert encoder.layers.layers[0].linear1.out_features == 4 * 16 and gru.layers.hidden_size == 16
    tokens = torch.randint(256, (3, 48))
    with torch.no_grad():  # every token of the sequence counts in both
        for model in (encoder, gru):
            other = tokens.clone()
            other[:, 0] = (other[:, 0] + 1) % 256
            assert not torch.equal(model(tokens), model(other))
    assert isinstance(encoder.layers, nn.TransformerEncoder)


@pytest.mark.slow
def test_two_threads_are_timed_and_put_back():
    before = torch.get_num_threads()
    table, target = steps.two_threads(measure.Bench(replace(SMALL, width=8), batch=1, repeats=2), 2)
    assert [row[0] for row in table.rows] == [1, 2] and table.rows[0][2] == 1
    assert target.what == "two threads over one, batch 1" and target.measured == table.rows[1][2] > 0
    assert torch.get_num_threads() == before
