"""The metrics of a run: JSON lines, one a step, in a chain of hashes; appended, whole lines only."""

import time
from collections.abc import Sequence
from pathlib import Path

from foundation import chain
from foundation.errors import DamagedFileError
from rmaat.training.logs import open_logs

METRICS = "metrics.jsonl"
KIND = "metrics"
LARGEST = 1e300  # of a number


class Metrics:
    """Lines of a run that goes on at `step`: later ones, written by a process that was killed, are dropped.

    `logs` are names of `LOGS`, copies for other programs; `of` is the hash of the run's config. `evaluated` is the step
    after which the last line on the validation split was written, 0 before there is one.

    Raises `DamagedFileError` where the file was altered, is another run's, or where lines before `step` are missing.
    """

    def __init__(self, path: Path, step: int, logs: Sequence[str] = (), *, of: str = ""):
        lines = lines_until(path, step, of)
        self.totals = Totals(lines)
        self.evaluated = max((line["step"] for line in lines if "validation_loss" in line), default=0)
        self._chain = chain.create(path, KIND, lines, of=of)
        self._logs = open_logs(logs, path.parent, lines)

    def write(self, **values) -> None:
        """Append one line of JSON."""
        self._chain.append(values)
        if "validation_loss" in values:
            self.evaluated = values["step"]
        for log in self._logs:
            log.add(values)

    def close(self) -> None:
        """Write what the logs have kept back."""
        for log in self._logs:
            log.close()

    def sync(self) -> None:
        """Let what was written outlive a loss of power."""
        self._chain.sync()


def lines_until(path: Path, step: int, of: str = "") -> list[dict]:
    """The lines of a run that goes on at `step`, none where there is no file. Raises as `Metrics` does."""
    found = _read(path, of)
    lines = [line for line in found.lines if line["step"] <= step] if found else []
    last = max((line["step"] for line in lines), default=0)
    if found and last < step:
        raise DamagedFileError(f"{path} ends at step {last}, the checkpoint is of step {step}: lines are missing; "
                               "restore the file, or move it away to go on with a new one")
    return lines


class Totals:
    """Tokens, seconds and CPU-seconds since step 1, over all the times that a run was gone on with.

    CPU-seconds are those of all threads of the process that leads, evaluations by the way among them. What a process
    that was killed had done after its last checkpoint is not in them, as it is in no line.
    """

    def __init__(self, lines: list[dict]):
        self.tokens, self.seconds, self.cpu_seconds = (
            next((line[name] for line in reversed(lines) if name in line), 0)
            for name in ("tokens", "seconds", "cpu_seconds"))
        self.seconds -= time.perf_counter()
        self.cpu_seconds -= time.process_time()

    def after(self, tokens: int) -> dict:
        """The totals after a step of so many tokens."""
        self.tokens += tokens
        return {"tokens": self.tokens, "seconds": round(self.seconds + time.perf_counter(), 3),
                "cpu_seconds": round(self.cpu_seconds + time.process_time(), 3)}


def read_metrics(path: Path, head: str | None = None, *, of: str = "") -> list[dict]:
    """All whole lines of a metrics file, verified; half a line, as a kill leaves it, is left out.

    `head` is the last hash where it is known, as a run's result knows it; `of` the hash of the run's config. Raises
    `DamagedFileError` for a file that was altered, that does not end there, or that is another run's.
    """
    found = _read(path, of)
    if head is not None and (found is None or found.head != head):
        raise DamagedFileError(f"{path} does not end as it did when the run ended: cut or altered; restore the file")
    return list(found.lines) if found else []


def _read(path: Path, of: str = "") -> chain.Chained | None:
    """As `chain.read`; a line in which anything is no number, or whose step is none, is damaged, whatever its hash."""
    found = chain.read(path, KIND)
    if found and of and found.of not in ("", of):  # "": from before they said it
        raise DamagedFileError(f"{path} is of another run: its config has the hash {found.of[:12]}, this run's "
                               f"{of[:12]}; restore the file, or move it away to go on with a new one")
    for number, line in enumerate(found.lines if found else (), start=2):
        wrong = next((name for name, value in line.items() if type(value) not in (int, float)
                      or not abs(value) <= LARGEST), None)
        if wrong or type(line.get("step")) is not int:
            name = wrong or "step"
            given = str(line.get(name, "missing"))[:40]
            raise DamagedFileError(f"{path}, line {number}: {name[:40]} is {given}, no number that a training gives; "
                                   "restore the file, or move it away")
    return found


def head(path: Path) -> str:
    """The last hash of a metrics file, which stands for all of it; "" where it has none."""
    found = chain.read(path, KIND)
    return found.head if found else ""


def peak_bytes(path: Path) -> int:
    """The largest peak that the metrics file reports, 0 where it reports none."""
    return max((line.get("peak_bytes", 0) for line in read_metrics(path)), default=0)
