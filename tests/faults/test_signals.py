"""Signals spread over the whole life of what computes or writes, verb by verb."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASKING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
STARTS = .5  # seconds in which Python itself starts, and ends by a signal as the system has it
ENDS = 300  # seconds in which whoever was asked to stop must end, on a busy machine
RUN = ["rmaat", "train", "recall", "--out", "run", "--device", "cpu", "--set", "train.steps=6", "--set",
       "train.evaluate_every=3", "--set", "train.warmup=2", "--set", "task.num_segments=2", "--set", "task.train=64"]
RECORDING = ["astro_sim", "run", "li_rinzel", "--duration", "20s", "--dt", "2ms", "--out", "calcium.nc"]
# each with what it leaves; the quickest first, for CI
VERBS = {
    "whatif": (["derivation", "whatif", "--set", "tau_pl=300 second"], None),
    "compare": (["rmaat", "compare", str(ROOT / "results" / "lra" / "recall.json"), "--out", "tables"], "tables"),
    "derive": (["derivation", "derive", "--out", "record.json"], "record.json"),
    "page of a record": (["derivation", "report", "--out", "record.html"], "record.html"),
    "page": (["figures", "report", "--no-simulation", "--out", "page.html"], "page.html"),
    "page of a run": (["rmaat", "report", "run", "--no-simulation", "--out", "run.html"], "run.html"),
    "page of a recording": (["astro_sim", "report", "calcium.nc", "--out", "calcium.html", "--force"], "calcium.html"),
    "figures": (["figures", "kernel", "graphs", "--out", "drawn"], "drawn"),
    "sample": (["derivation", "sample", "--draws", "3", "--out", "ensemble.json"], "ensemble.json"),
    "plot": (["astro_sim", "plot", "calcium.nc", "--out", "calcium.png", "--force"], "calcium.png"),
    "check": (["derivation", "check"], None),
    "evaluate": (["rmaat", "evaluate", "run"], None),
    "predict": (["rmaat", "predict", "run", "--out", "answers.csv"], "answers.csv"),
    "inspect": (["rmaat", "inspect", "run"], None),
}


def listen():
    """In a script's background SIGINT is ignored, under nohup SIGHUP."""
    for number in ASKING:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="module")
def workbench(tmp_path_factory):
    """A folder with a run and a recording, a cache, and a folder for temporaries; what starts a program in it."""
    folder = tmp_path_factory.mktemp("signals")
    (folder / "temporary").mkdir()
    given = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "temporary")}

    def start(words):
        return subprocess.Popen([sys.executable, "-m", *words], cwd=folder, env=given, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=listen)

    for words in (RUN, RECORDING):
        assert done(start(words))[0] == 0
    return folder, start


def done(process):
    """Exit code, standard error, seconds."""
    begun = time.monotonic()
    told = process.communicate()[1]
    return process.returncode, told, time.monotonic() - begun


def left(folder):
    """Temporaries and locks that lie about, and what the folder of temporaries holds but for a cache of torch."""
    return [path for path in folder.rglob("*") if path.suffix in (".part", ".lock") or path.name.startswith(".tmp")
            or (path.parent.name == "temporary" and not path.name.startswith("torchinductor_"))]


@pytest.mark.fault("F14")
@pytest.mark.minutes
@pytest.mark.slow
def test_a_program_is_asked_to_stop_at_any_moment(workbench, rounds):
    """Ctrl-C, SIGTERM or SIGHUP comes at any moment of any verb: deriving, drawing, comparing, writing a page.

    It ends with that signal's exit code and without a traceback, nothing half written is left, and the same line then
    does the whole.
    """
    folder, start = workbench
    generator, lasts, sent = random.Random(), {}, 0
    for n in rounds(1):
        verb = list(VERBS)[n % len(VERBS)]
        words, target = VERBS[verb]
        if verb not in lasts:
            code, told, lasts[verb] = done(start(words))
            assert code == 0, f"{verb}: {told[-1500:]}"
            assert left(folder) == [], verb
        for _ in range(4):
            number = generator.choice(ASKING)
            moment = generator.uniform(STARTS, max(lasts[verb], 2 * STARTS))
            process = start(words)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            process.send_signal(number)
            what = f"{verb}, {number.name} after {moment:.3f} s of {lasts[verb]:.3f} s"
            try:
                told = process.communicate(timeout=ENDS)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{what}: it goes on; {process.communicate()[1][-500:]}") from None
            sent += 1
            # a signal to Python at its own end is the system's; to a shell both are the same number
            assert process.returncode in (0, 128 + number, -number), f"{what}: {process.returncode}, {told[-1500:]}"
            assert "Traceback" not in told and "Error" not in told, f"{what}: {told[-1500:]}"
            assert left(folder) == [], what
        code, told, _ = done(start(words))
        assert code == 0, f"{verb} after it was stopped: {told[-1500:]}"
        assert target is None or (folder / target).exists()
    print(f"{sent} signals to {len(lasts)} verbs")
