"""The metrics of a run: one JSON line a step, appended, whole lines only."""

import json
from pathlib import Path

from foundation.files import canonical_json, write_text

METRICS = "metrics.jsonl"


class Metrics:
    """JSON lines, appended; lines after `step` (written by a process that was killed) are dropped at the start."""

    def __init__(self, path: Path, step: int):
        self.path = path
        lines = [line for line in read_metrics(path) if line["step"] <= step]
        write_text(path, "".join(canonical_json(line) + "\n" for line in lines))

    def write(self, **values) -> None:
        """Append one line of JSON."""
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(canonical_json(values) + "\n")


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
