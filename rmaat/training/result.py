"""What a training leaves for a reader: accuracy beside its controls, metrics, the trained model, a picture."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.errors import UserError
from foundation.reading import content_of
from foundation.table import Table
from rmaat.tasks.controls import Row
from rmaat.training import checkpoint, run_folder
from rmaat.training.evaluation import CONTROL, Evaluation, find_device, load_model
from rmaat.training.experiment import Experiment, to_json
from rmaat.training.metrics import METRICS, read_metrics
from rmaat.training.run_folder import RESULT, Run

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas
    import torch

EVALUATED = tuple(field.name for field in dataclasses.fields(Evaluation))


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """A run and what came out of it; a table in a notebook.

    `evaluation` is that of the test split at the end, None where the run has not reached it; `costs` are parameters,
    seconds, peak bytes and the like.
    """

    run: Run
    evaluation: Evaluation | None
    costs: Mapping[str, object]

    @property
    def accuracy(self) -> float:
        """Share of correct labels on the test split. Raises `UserError` where the run has not reached its end."""
        if self.evaluation is None:
            raise UserError(f"{self.run.folder} has no result yet; go on with its training by resume=True or --resume")
        return self.evaluation.accuracy

    @property
    def metrics(self) -> list[dict]:
        """What was written at every step, in order: loss, accuracy, gradient norm, speed, and validation by the way."""
        return read_metrics(self.run.folder / METRICS, self.costs.get("metrics_hash"), of=self.run.configs[-1])

    def model(self, device: str = "cpu") -> "torch.nn.Module":
        """The network of the last checkpoint, ready to be used (in evaluation mode)."""
        return load_model(self.run, find_device(device))[0].eval()

    def to_json(self) -> dict:
        """All of it as JSON values, as the run's result file has it."""
        return ({} if self.evaluation is None else self.evaluation.to_json()) | dict(self.costs)

    def to_pandas(self) -> "pandas.DataFrame":
        """The metrics, a row a step. Raises `UserError` where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise UserError("to_pandas needs pandas, which is not installed; 'metrics' has the same as a list"
                            ) from error
        rows: dict[int, dict] = {}
        for line in self.metrics:
            rows.setdefault(line["step"], {}).update(line)
        return pandas.DataFrame(list(rows.values())).set_index("step") if rows else pandas.DataFrame()

    def plot(self) -> "matplotlib.figure.Figure":
        """Loss and accuracy over the steps, with the control that was trained beside, where there is one."""
        from rmaat.training.curves import draw

        runs = {"with memory": self.metrics}
        if checkpoint.exists(self.run.folder / CONTROL):
            runs["memory reset"] = read_metrics(self.run.folder / CONTROL / METRICS)
        return draw(runs, title=self.run.experiment.name, chance=1 / self.run.experiment.task.num_classes)

    def table(self) -> Table:
        """Accuracy on the test split beside the control rows, and below it what it cost."""
        if self.evaluation is None:
            return Table(("run", "step", "of"), [(str(self.run.folder), self._last_step(), self._steps())],
                         self.run.experiment.name, "no result yet: go on with resume=True or --resume")
        return dataclasses.replace(self.evaluation.table(), note=(
            "{parameters:,} parameters; {timed_steps} steps in {seconds:.0f} s ({cpu_seconds:.0f} CPU-seconds), peak "
            "{peak_bytes:,} bytes a step; in ").format(**self.costs) + str(self.run.folder))

    def _last_step(self) -> int:
        return max((line["step"] for line in self.metrics), default=0)

    def _steps(self) -> int:
        return self.run.experiment.train.steps

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        if self.evaluation is None:
            return f"<{self.run.experiment.name}: step {self._last_step()} of {self._steps()}, no result yet; " \
                   f"in {self.run.folder}>"
        return f"{repr(self.evaluation)[:-1]}; in {self.run.folder}>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def load_run(folder: str | Path, experiment: Experiment | None = None) -> Result:
    """The run in `folder`, finished or not; verified.

    `experiment` is needed where its task or parts of its network were defined in a session that is over. Raises what
    `run_folder.read` raises, and `DamagedFileError` for a result that was altered.
    """
    run = run_folder.read(folder, experiment)
    return stored_result(run) if (run.folder / RESULT).exists() else Result(run, None, {})


def stored_result(run: Run) -> Result:
    """What the result file of a finished run says. Raises `DamagedFileError` when it is cut or altered."""
    body = run_folder.read_result(run.folder)
    run_folder.check_result(run.folder, body, to_json(run.experiment), run.record.hash, run.configs)
    with content_of(str(run.folder / RESULT), "'evaluate' computes it anew"):
        rows = tuple(Row(**row) for row in body["rows"])
        evaluation = Evaluation(**{name: body[name] for name in EVALUATED} | {"rows": rows, "run": str(run.folder)})
        str(evaluation.table())
    return Result(run, evaluation, {name: value for name, value in body.items() if name not in EVALUATED})
