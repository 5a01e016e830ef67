"""What a training returns: a table in a notebook, short in a terminal, the model, the metrics, a picture."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from foundation.errors import UserError
from rmaat.training.configs import CONFIGS
from rmaat.training.curves import smooth
from rmaat.training.evaluation import evaluate
from rmaat.training.opening import begin
from rmaat.training.result import load_run
from rmaat.training.settings import change
from rmaat.training.trainer import train

ROOT = Path(__file__).parents[2]
TINY = {"task.num_segments": 2, "task.segment": 4, "task.train": 8, "task.validation": 4, "task.test": 6,
        "model.segment_length": 4, "model.width": 8, "model.layers": 1, "train.batch_size": 4, "train.steps": 20,
        "train.evaluate_every": 10}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return train("recall", tmp_path_factory.mktemp("result") / "run", changes=TINY, device="cpu", control=True,
                 quiet=True)


def test_it_shows_itself(result):
    rows = [row.name for row in result.evaluation.rows]
    assert rows == ["model", "model, memory reset", "trained with memory reset", "majority", "histogram, last segment",
                    "histogram, all tokens"]
    told, shown = str(result), result._repr_html_()
    assert all(name in told and name in shown for name in rows)
    assert f"{result.costs['parameters']:,} parameters; 20 steps" in told and shown.startswith("<table>")
    assert repr(result).startswith(f"<recall on test: {result.accuracy:.1%} (model, memory reset ")
    assert "\n" not in repr(result) and repr(result).endswith(f"; in {result.run.folder}>")
    assert repr(evaluate(result, "validation", device="cpu")).startswith("<recall on validation: ")


def test_an_existing_folder_gives_the_same(result):
    again = load_run(result.run.folder)
    assert again.to_json() == result.to_json() and str(again) == str(result)
    stored = json.loads((result.run.folder / "result.json").read_text())
    assert stored.keys() - {"hash", "schema"} == again.to_json().keys()


def test_the_model_is_the_trained_one(result):
    model = result.model()
    split = result.run.experiment.task.split("test")
    batch = split.batch(np.arange(len(split)))
    assert not model.training
    correct = (model(batch.tokens, batch.lengths).argmax(1) == batch.labels).double().mean().item()
    assert correct == result.accuracy
    other = load_run(result.run.folder).model().state_dict()
    assert all(torch.equal(value, other[name]) for name, value in model.state_dict().items())


def test_metrics_as_a_list_a_table_and_a_picture(result):
    lines = [line for line in result.metrics if "loss" in line]
    assert [line["step"] for line in lines] == list(range(1, 21))
    frame = result.to_pandas()
    assert list(frame.index) == list(range(1, 21)) and frame["loss"].tolist() == [line["loss"] for line in lines]
    assert list(frame.index[frame["validation_loss"].notna()]) == [10, 20]
    losses, accuracies = result.plot().axes
    names = {name: {line.get_label(): line for line in axes.lines} for name, axes in (("l", losses), ("a", accuracies))}
    np.testing.assert_array_equal(names["l"]["with memory, each step"].get_ydata(), frame["loss"])
    assert "memory reset, each step" in names["l"] and names["a"]["chance, 10 %"].get_ydata() == pytest.approx([10, 10])
    assert names["a"]["with memory, validation"].get_xdata().tolist() == [10, 20]


def test_a_running_mean_stands_in_the_middle():
    steps, means = smooth(np.arange(5), np.array([0., 3., 6., 0., 9.]), width=3)
    np.testing.assert_allclose(means, [3, 3, 5], rtol=1e-12)  # thirds in another order of additions
    assert steps.tolist() == [1, 2, 3]


def test_a_run_that_is_not_at_its_end_says_so(tmp_path):
    begin(change(CONFIGS["recall"](), TINY), tmp_path).save()
    unfinished = load_run(tmp_path)
    assert "no result yet" in str(unfinished) and "step 0 of 20" in repr(unfinished) and unfinished._repr_html_()
    assert unfinished.model().config.width == 8 and len(unfinished.to_pandas()) == 0
    with pytest.raises(UserError, match="has no result yet"):
        unfinished.accuracy  # noqa: B018
    with pytest.raises(UserError, match="nothing to plot"):
        unfinished.plot()


@pytest.mark.parametrize(("missing", "method"), [("matplotlib", "plot"), ("pandas", "to_pandas")])
def test_what_is_not_installed_is_said(result, monkeypatch, missing, method):
    for name in (missing, f"{missing}.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=f"needs {missing}, which is not installed; 'metrics' has the"):
        getattr(result, method)()


def test_training_loads_neither_pandas_nor_matplotlib():
    code = ("import sys, rmaat.training.trainer, rmaat.training.result\n"
            "print([name for name in ('pandas', 'matplotlib') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
