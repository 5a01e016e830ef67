"""What a training process does with memory that it frees."""

import os
import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
STEPS = """
import resource, sys, torch
from rmaat.resources import keep_freed_memory
from rmaat.benchmark.measure import Bench

torch.set_num_threads(1)
kept = keep_freed_memory() if "keep" in sys.argv else None
step = Bench().step(8, unread="full", keep_last=1)
faults = []
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(kept, sorted(faults[4:])[4])  # the median, once the heap has grown
"""


def run(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", STEPS, *arguments], capture_output=True, text=True, check=True,
                          env=clean | environment)
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.slow
@glibc
def test_a_segment_gets_the_memory_that_the_last_one_freed():
    """8 segments of some 3,000 pages each, run twice: some 5,000 pages are fetched anew in every step, or none is."""
    _, without = run()
    kept, faults = run("keep")
    assert kept == "True" and faults < without / 4


@pytest.mark.slow
@glibc
def test_settings_of_the_environment_are_left_alone():
    assert run("keep", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"


def test_elsewhere_nothing_happens(monkeypatch):
    from rmaat.resources import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
