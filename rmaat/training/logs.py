"""Logs beside a run's metrics, for other programs: a CSV file, and TensorBoard's files of events.

They are copies: when a run goes on they are made anew from the metrics, which alone are verified.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from foundation.errors import UserError, choose
from foundation.files import write_text

COLUMNS = ("step", "loss", "accuracy", "gradient_norm", "learning_rate", "tokens_per_second", "peak_bytes", "tokens",
           "seconds", "cpu_seconds", "validation_loss", "validation_accuracy")


class CsvLog:
    """`metrics.csv`: a row a step, with the validation of that step where there was one.

    A row is written when the next step begins, so a program that reads along sees whole rows.
    """

    def __init__(self, folder: Path, lines: Iterable[Mapping]):
        self.path, self.row = folder / "metrics.csv", {}
        rows: dict[int, dict] = {}
        for line in lines:
            rows.setdefault(line["step"], {}).update(line)
        *whole, self.row = [*rows.values()] or [{}]
        write_text(self.path, ",".join(COLUMNS) + "\n" + "".join(map(self._text, whole)))

    @staticmethod
    def _text(row: Mapping) -> str:
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(row)
        return text.getvalue()

    def add(self, values: Mapping) -> None:
        """One line of the metrics."""
        if self.row and values["step"] != self.row["step"]:
            self._write()
        self.row = {**self.row, **values}

    def _write(self) -> None:
        if self.row:
            with open(self.path, "a", encoding="utf-8") as stream:
                stream.write(self._text(self.row))
        self.row = {}

    def close(self) -> None:
        """Write the last row."""
        self._write()


class TensorBoardLog:
    """`tensorboard/`: scalars train/loss, validation/accuracy, cost/tokens and so on, for `tensorboard --logdir`."""

    def __init__(self, folder: Path, lines: Iterable[Mapping]):
        writer = _writer_class()
        last = max((line["step"] for line in lines), default=0)
        # events of later steps, written by a process that was killed, are hidden
        self.writer = writer(str(folder / "tensorboard"), purge_step=last + 1 if last else None)

    def add(self, values: Mapping) -> None:
        """One line of the metrics."""
        for name, value in values.items():
            if name != "step":
                self.writer.add_scalar(_tag(name), value, values["step"])

    def close(self) -> None:
        """Let the events reach the file."""
        self.writer.close()


def _tag(name: str) -> str:
    """As TensorBoard groups curves: by what stands before the slash."""
    if name.startswith("validation_"):
        return name.replace("_", "/", 1)
    return f"train/{name}" if name in ("loss", "accuracy", "gradient_norm", "learning_rate") else f"cost/{name}"


def _writer_class() -> type:
    try:
        import tensorboard  # noqa: F401  # torch would say that it is missing, and not what to do
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("log = tensorboard needs the package tensorboard, which is not installed: pip install "
                        '"astro-rmaat[tensorboard]", or log = csv') from error
    return SummaryWriter


LOGS = {"csv": CsvLog, "tensorboard": TensorBoardLog}


def check_logs(names: Sequence[str]) -> None:
    """Raises `UserError` for a log that there is not, or whose package is missing."""
    for name in names:
        if choose("log", name, LOGS) is TensorBoardLog:
            _writer_class()


def open_logs(names: Sequence[str], folder: Path, lines: Sequence[Mapping]) -> list[CsvLog | TensorBoardLog]:
    """The logs of a run in `folder` that goes on after `lines`. Raises what `check_logs` raises."""
    return [choose("log", name, LOGS)(folder, lines) for name in dict.fromkeys(names)]
