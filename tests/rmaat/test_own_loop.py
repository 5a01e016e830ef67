"""In a loop of one's own: the example trains, a language model is compared, weights are averaged, keys are stable."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rmaat.biology.biology import Biology
from rmaat.model.config import ModelConfig
from rmaat.model.model import RMAAT

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIG = ModelConfig(20, 3, 5, 4, width=8, heads=2, layers=1, num_memory_tokens=2)
BLOCK = ("before_attention.weight", "before_attention.bias", "before_feedforward.weight", "before_feedforward.bias",
         "attention.qkv.weight", "attention.project.weight", "feedforward.0.weight", "feedforward.0.bias",
         "feedforward.2.weight", "feedforward.2.bias")
# Files of weights that were saved before depend on these: a new name is a new key, an old one stays.
KEYS = {"position", "initial_memory", "embedding.weight", "norm.weight", "norm.bias", "head.weight", "head.bias",
        *(f"blocks.0.{name}" for name in BLOCK)}


@pytest.mark.slow
def test_the_pages_code_runs(shapes_unchecked):
    page = (EXAMPLES.parent / "docs" / "own_loop.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for code in blocks:
        exec(compile(code, "own_loop.md", "exec"), {})


def run(*arguments):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_loop_on_a_numpy_array_learns_what_only_the_memory_can_carry():
    done = run(EXAMPLES / "own_loop.py")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("accuracy ")[1].split("%")[0]) > 95  # chance is 25 %


@pytest.mark.slow
def test_the_language_models_are_compared(tmp_path):
    text = tmp_path / "text"
    text.write_bytes(b"the same words again and again; " * 60)
    done = run(EXAMPLES / "byte_language_model.py", text, "--steps", 3, "--width", 16, "--length", 32, "--segment", 16)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[:20].strip() for line in lines] == ["RMAAT", "RMT", "RMAAT, memory reset", "GRU"]
    sizes = [int(line[20:30].replace(",", "")) for line in lines]
    assert abs(sizes[3] - sizes[0]) < .05 * sizes[0], "the GRU is as large as RMAAT"
    assert all(0 < float(line.split()[-4]) < 9 for line in lines)


@pytest.mark.parametrize(("fields", "more"), [
    ({}, {"blocks.0.attention.rel_pos.rows"}), ({"causal": True}, {"blocks.0.attention.rel_pos.rows"}),
    ({"rel_pos": "content"}, {"blocks.0.attention.rel_pos.project.weight"}), ({"rel_pos": "none"}, set()),
    ({"attention": "linear"}, set()), ({"attention": "softmax"}, set())], ids=str)
def test_the_keys_of_a_state_dict_are_those_of_the_page(fields, more):
    model = RMAAT(replace(CONFIG, **fields), Biology.load())
    assert set(model.state_dict()) == KEYS | more
    other = RMAAT(model.config, Biology.load())
    other.load_state_dict(model.state_dict())
    tokens = torch.arange(18).repeat(2, 1)
    assert torch.equal(other(tokens), model(tokens))


def test_averaged_weights_are_the_average():
    torch.manual_seed(0)
    model = RMAAT(CONFIG, Biology.load())
    averaged, decay = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(.9)), .9
    expected = None
    for _ in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        averaged.update_parameters(model)
        now = [p.detach().clone() for p in model.parameters()]
        expected = now if expected is None else [decay * old + (1 - decay) * new
                                                 for old, new in zip(expected, now, strict=True)]
    for found, wanted in zip(averaged.module.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)  # float32
    tokens = torch.arange(18).repeat(2, 1)
    assert averaged(tokens).isfinite().all() and not torch.equal(averaged(tokens), model(tokens))
