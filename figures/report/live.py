"""A page that follows its runs: written again every few seconds, until they are finished or it is stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from figures.report.gathering import Gathered, gather
from figures.report.page import page, write
from foundation.cli import PROGRESS
from foundation.process import ending_with_this
from rmaat.training.variants import DEFAULT

FOLLOWER = [sys.executable, "-m", "figures", "report"]  # what `watched` starts
LOOKS_AT_THE_END = 2  # a study is between two runs for a moment: what is finished twice in a row is finished


def follow(places: Iterable[str | Path], out: str | Path, drawn: Mapping[str, object], *, every: float = 5.0,
           against: str = DEFAULT, pause: Callable[[float], None] = time.sleep,
           told: Callable[[Path], None] = lambda page: None) -> Path:
    """Write the page of the runs at `places` to `out` every so many seconds, and once more when they are finished.

    `drawn` is what `page.unchanging` made. A place may still be empty. The open page loads itself anew, the last one
    does not, also where this is stopped by Ctrl-C or a signal; then the interruption goes on. `told` hears of every
    page that was written.
    """
    places, looks = list(places), 0
    try:
        while looks < LOOKS_AT_THE_END:
            found = gather(places, waiting=True)
            told(write(page(found, drawn, against=against, every=every), out))
            looks = looks + 1 if finished(found) else 0
            pause(every)
    except KeyboardInterrupt:
        write(page(gather(places, waiting=True), drawn, against=against, inside=False), out)
        raise
    return write(page(gather(places, waiting=True), drawn, against=against), out)


def finished(found: Gathered) -> bool:
    """Whether every run has its result; not where there is none yet."""
    return bool(found.runs) and all(run.accuracy is not None for run in found.runs)


@contextmanager
def watched(folder: str | Path) -> Iterator[Path]:
    """Inside, another process follows the runs in `folder`; yields its page, DIR.html, whole when this is left."""
    out = Path(f"{folder}.html")
    before = _written(out)
    other = subprocess.Popen([*FOLLOWER, str(folder), "--follow", "--out", str(out)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1", PROGRESS: "0"},
                             preexec_fn=ending_with_this(signal.SIGTERM))  # a training that is killed has no end
    try:
        yield out
        while other.poll() is None and _written(out) == before:  # it still draws what does not depend on the runs
            time.sleep(0.1)
    finally:
        other.terminate()  # it writes the last page, and then stops
        other.wait()


def _written(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None
