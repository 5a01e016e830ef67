"""The metrics of a run: one JSON line a step, appended, whole lines only."""

import json
import time
from pathlib import Path

from foundation.files import canonical_json, write_text

METRICS = "metrics.jsonl"


class Metrics:
    """JSON lines, appended; lines after `step` (written by a process that was killed) are dropped at the start."""

    def __init__(self, path: Path, step: int):
        self.path = path
        lines = [line for line in read_metrics(path) if line["step"] <= step]
        self.totals = Totals(lines)
        write_text(path, "".join(canonical_json(line) + "\n" for line in lines))

    def write(self, **values) -> None:
        """Append one line of JSON."""
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(canonical_json(values) + "\n")


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


def read_metrics(path: Path) -> list[dict]:
    """All whole lines of a metrics file; a half line, as a kill leaves it, is left out."""
    lines = []
    for text in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def peak_bytes(path: Path) -> int:
    """The largest peak that the metrics file reports, 0 where it reports none."""
    return max((line.get("peak_bytes", 0) for line in read_metrics(path)), default=0)
