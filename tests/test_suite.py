"""No test depends on the machine's speed: no short time-outs, no sleeps, no clocks in assertions."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
LEAST_TIMEOUT = 600  # seconds: ends what hangs, not what is slow
CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
          "process_time_ns", "thread_time"}
EXCUSED = {
    "rmaat/train_and_stop.py": {"sleep": "waits until a signal has arrived, however long that takes"},
    "rmaat/test_studies.py": {"sleep": "waits until a process has come so far, however long that takes"},
    "figures/test_live.py": {"sleep": "waits until a page has been written, however long that takes"},
    "faults/test_concurrency.py": {"sleep": "waits until a process has begun another, and until that has ended"},
    "faults/test_signals.py": {"clock": "spreads signals over the time a program takes; no assertion looks at it"},
    "faults/conftest.py": {"clock": "make faults goes on for as long as it is given; no assertion looks at it"},
}


def faults(source):
    """What in a file's text depends on the machine's speed: (line, what)."""
    tree = ast.parse(source)
    bare = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
            and node.module == "time" for alias in node.names}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        name = called.removeprefix("time.") if called.startswith("time.") or called in bare else ""
        if name == "sleep":
            yield node.lineno, "sleep"
        if name in CLOCKS:
            yield node.lineno, "clock"
        for word in node.keywords:
            if word.arg == "timeout" and isinstance(word.value, ast.Constant) and isinstance(
                    word.value.value, int | float) and word.value.value < LEAST_TIMEOUT:
                yield node.lineno, "timeout"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_test_depends_on_the_machines_speed(path):
    excused = EXCUSED.get(path.relative_to(FOLDER).as_posix(), ())
    assert [fault for fault in faults(path.read_text("utf-8")) if fault[1] not in excused] == []


@pytest.mark.parametrize(("source", "expected"), [
    ("import time\ntime.sleep(1)", [(2, "sleep")]), ("from time import sleep\nsleep(1)", [(2, "sleep")]),
    ("import time\nassert time.process_time() < 1", [(2, "clock")]), ("run(x, timeout=60)", [(1, "timeout")]),
    ("run(x, timeout=600)", []), ("import time\nassert clock is time.process_time", []), ("recording.time(3)", [])])
def test_such_faults_are_seen(source, expected):
    assert list(faults(source)) == expected
