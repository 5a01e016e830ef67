"""Running a study: points in processes, resumable at any moment, in shards, within a budget."""

import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import UserError
from foundation.files import MANIFEST, check_writable
from foundation.machine import MOST_THREADS
from foundation.table import Table
from rmaat.training.configs import find_experiment
from rmaat.training.evaluation import find_device
from rmaat.training.experiment import Experiment
from rmaat.training.studies.crew import Crew
from rmaat.training.studies.known import find_study
from rmaat.training.studies.plan import Point, Study, with_changes
from rmaat.training.studies.summary import collect, write_summaries
from rmaat.training.studies.worker import DONE, FAILED, STOPPED, Job, Outcome

UNITS = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "day": 86_400}
LEFT = Outcome("waiting")


@dataclass(frozen=True, repr=False)
class StudyResult:
    """What became of a study's points: `outcomes` by folder, of this shard; a table when printed."""

    study: Study
    out: Path
    outcomes: Mapping[str, Outcome]

    @property
    def failed(self) -> list[str]:
        """Folders of the points that failed."""
        return [name for name, outcome in self.outcomes.items() if outcome.state == FAILED]

    @property
    def left(self) -> list[str]:
        """Folders of the points that are not done yet and have not failed."""
        return [name for name, outcome in self.outcomes.items() if outcome.state not in (DONE, FAILED)]

    def to_json(self) -> dict:
        """Plain values."""
        return {"study": self.study.name, "out": str(self.out), "points": [
            {"folder": name, "state": outcome.state, "accuracy": outcome.accuracy, "message": outcome.message}
            for name, outcome in self.outcomes.items()]}

    def table(self) -> Table:
        """A line for each point."""
        rows = [(name, outcome.state, "-" if outcome.accuracy is None else f"{100 * outcome.accuracy:.2f}",
                 outcome.message.partition("\n")[0]) for name, outcome in self.outcomes.items()]
        done = sum(outcome.state == DONE for outcome in self.outcomes.values())
        note = f"{done} of {len(rows)} done" + (f", {len(self.failed)} failed" if self.failed else "")
        if self.left:
            note += f"; {len(self.left)} left: the same command goes on with them"
        return Table(("run", "state", "accuracy, %", "note"), rows, f"study {self.study.name} in {self.out}", note)

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<study {self.study.name}: {self.table().note}>"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def study(given: str | Path | Study, out: str | Path, *, jobs: int = 1, threads: int = 1, shard: str | None = None,
          budget: str | int | float | None = None, changes: Mapping[str, object] | Iterable[str] = (),
          data: Mapping[str, str] | None = None, device: str = "auto", quiet: bool = False,
          command: str = "") -> StudyResult:
    """Train all runs of a study in folders below `out`, the longest first; finished ones are read, others gone on with.

    `given` is a `Study`, the name of one, or a TOML file. `jobs` processes of `threads` threads take the runs in turn.
    `shard` is `"2/3"`: the second of three parts, which share no run. After `budget`, seconds or a text as `"90 min"`,
    the runs stop at a checkpoint. A run that fails does not stop the others; `failed` lists it. The summaries of all
    runs stand in `out/<name>.json` then. Raises `UserError` for what is wrong with the study before anything is
    trained, and `KeyboardInterrupt` when stopped: after a checkpoint of each run, or at once after a second signal.
    """
    for name, value, most in (("jobs", jobs, math.inf), ("threads", threads, MOST_THREADS)):
        if type(value) is not int or not 1 <= value <= most:
            raise UserError(f"{name} = {value!r}: must be a whole number of at least 1"
                            + (f" and at most {most}" if most < math.inf else ""))
    seconds, part, out = seconds_of(budget), shard_of(shard), Path(out)
    find_device(device)
    plan = with_changes(find_study(given), changes, data=data)
    points = plan.points()[part[0] - 1::part[1]]
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder with --out")
    check_writable(out, folder=True)
    outcomes = dict.fromkeys((point.folder for point in points), LEFT)

    def told(name: str, outcome: Outcome) -> None:
        outcomes[name] = outcome
        if not quiet:
            ended = sum(one is not LEFT for one in outcomes.values())
            print(f"[{ended}/{len(outcomes)}] {_said(name, outcome)}", file=sys.stderr, flush=True)

    crew = Crew({point.folder: _job(point, out, device) for point in points}, jobs=min(jobs, len(points) or 1),
                threads=threads, told=told)
    try:
        crew.run(seconds)
    finally:
        if not crew.ended:  # at once is without the summaries, which the same command writes
            _keep(plan, out, command)
    return StudyResult(plan, out, outcomes)


def _keep(plan: Study, out: Path, command: str) -> None:
    """The summaries of all runs below the study's folder, those of other shards among them."""
    if any((out / point.folder / MANIFEST).exists() for point in plan.points()):
        write_summaries(out / f"{plan.name}.json", plan.name, collect([out]), command)


def _job(point: Point, out: Path, device: str) -> Job:
    """Made anew in the other process where it was named by texts, sent as it is where not."""
    texts = isinstance(point.config, str) and isinstance(point.variant, str)
    make, arguments = (_made, (point.config, dict(point.changes), point.variant)) if texts else (
        _itself, (point.experiment,))
    return Job(str(out / point.folder), make, arguments, point.data, device)


def _made(config: str, changes: Mapping[str, object], variant: str) -> Experiment:
    return find_experiment(find_experiment(config, changes), variant=variant)


def _itself(experiment: Experiment) -> Experiment:
    return experiment


def _said(name: str, outcome: Outcome) -> str:
    if outcome.state == DONE:
        return f"{name}: {100 * outcome.accuracy:.2f} % in {outcome.seconds:.0f} s"
    if outcome.state == STOPPED:
        return f"{name}: stopped; the same command goes on with it"
    return f"{name}: {outcome.state}: {outcome.message}"


def seconds_of(budget: str | int | float | None) -> float | None:
    """Seconds of a budget. Raises `UserError` for a text that is no duration above 0 with a unit."""
    if budget is None or (type(budget) in (int, float) and budget > 0):
        return budget
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+?)s?\s*", str(budget)) if isinstance(budget, str) else None
    unit = found and (UNITS.get(found[2]) or UNITS.get(found[2] + "s"))
    if not found or not unit or not float(found[1]):
        raise UserError(f'budget = {budget!r}: give a time above 0 with its unit, as "90 min", "2 h" or "45 s"')
    return float(found[1]) * unit


def shard_of(text: str | None) -> tuple[int, int]:
    """(i, n) of a shard i/n. Raises `UserError` for another text."""
    found = re.fullmatch(r"(\d+)/(\d+)", str(text), re.ASCII)
    i, n = (1, 1) if text is None else (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= i <= n:
        raise UserError(f"shard = {text!r}: give i/n with i from 1 to n, as 1/2 and 2/2")
    return i, n
