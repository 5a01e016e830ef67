"""Logs for other programs: copies of the metrics, also where a run stops and goes on."""

import csv
import sys
import types
from typing import ClassVar

import pytest

from foundation.errors import UserError
from rmaat.training.logs import COLUMNS, LOGS, check_logs
from rmaat.training.metrics import Metrics, read_metrics
from rmaat.training.trainer import train

TINY = {"task.num_segments": 3, "task.segment": 4, "task.train": 16, "task.validation": 4, "task.test": 6,
        "model.width": 8, "model.segment_length": 4, "model.layers": 1, "train.batch_size": 4, "train.steps": 4,
        "train.evaluate_every": 2, "train.checkpoint_every": 2}


class Writer:
    """Stands for torch's SummaryWriter, which needs the package."""

    made: ClassVar[list] = []

    def __init__(self, folder, purge_step=None):
        self.folder, self.purge_step, self.scalars, self.closed = folder, purge_step, [], False
        Writer.made.append(self)

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))

    def close(self):
        self.closed = True


@pytest.fixture
def tensorboard(monkeypatch):
    """As if the package were there."""
    monkeypatch.setattr(Writer, "made", [])
    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    return Writer.made


@pytest.mark.slow
def test_a_csv_has_a_row_a_step_with_all_that_the_metrics_have(tmp_path):
    train("recall", tmp_path / "run", changes=TINY, device="cpu", quiet=True, logs=["csv"])
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    wanted = {}
    for line in read_metrics(tmp_path / "run" / "metrics.jsonl"):
        assert set(line) <= set(COLUMNS)
        wanted.setdefault(line["step"], {}).update(line)
    assert len(rows) == 4 and [int(row["step"]) for row in rows] == [1, 2, 3, 4]
    for row in rows:
        assert {name: float(value) for name, value in row.items() if value} == wanted[int(row["step"])]
    assert [bool(row["validation_accuracy"]) for row in rows] == [False, True, False, True]


def test_a_log_of_a_run_that_goes_on_has_no_step_twice(tmp_path, tensorboard):
    path = tmp_path / "metrics.jsonl"
    first = Metrics(path, 0, ["csv", "tensorboard"])
    for step in (1, 2, 3):
        first.write(step=step, loss=step / 2, tokens=10 * step)
    first.write(step=3, validation_loss=9., validation_accuracy=.5)
    # killed here: the row that waited for more is not in the file
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3 and not tensorboard[0].closed
    again = Metrics(path, 3, ["csv", "tensorboard"])
    again.write(step=4, loss=7.)
    again.close()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [(row["step"], row["loss"], row["validation_accuracy"]) for row in rows] == [
        ("1", "0.5", ""), ("2", "1.0", ""), ("3", "1.5", "0.5"), ("4", "7.0", "")]
    Metrics(path, 2, ["csv"]).close()
    assert [line.split(",")[0] for line in (tmp_path / "metrics.csv").read_text().splitlines()] == ["step", "1", "2"]
    assert tensorboard[0].purge_step is None and tensorboard[1].purge_step == 4 and tensorboard[1].closed
    assert tensorboard[0].scalars == [("train/loss", .5, 1), ("cost/tokens", 10, 1), ("train/loss", 1., 2),
                                      ("cost/tokens", 20, 2), ("train/loss", 1.5, 3), ("cost/tokens", 30, 3),
                                      ("validation/loss", 9., 3), ("validation/accuracy", .5, 3)]
    assert tensorboard[1].scalars == [("train/loss", 7., 4)]


def test_a_log_that_cannot_be_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as where it is not installed
    with pytest.raises(UserError, match=r'pip install "astro-rmaat\[tensorboard\]", or log = csv'):
        train("recall", tmp_path / "run", changes=TINY, logs=["csv", "tensorboard"])
    with pytest.raises(UserError, match="unknown log 'wandb'; choose one of: csv, tensorboard"):
        train("recall", tmp_path / "run", changes=TINY, logs=["wandb"])
    assert not (tmp_path / "run").exists() and LOGS.keys() == {"csv", "tensorboard"}
    check_logs([])


@pytest.mark.slow
def test_tensorboard_reads_what_torch_wrote(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train("recall", tmp_path / "run", changes=TINY, device="cpu", quiet=True, logs=["tensorboard"])
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    losses = [line["loss"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses, rel=1e-6)
    assert [event.step for event in events.Scalars("validation/accuracy")] == [2, 4]
