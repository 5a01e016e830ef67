"""Work that is kept, and exit codes that say what became of it."""

import gc
import importlib
import math
import os
import random
import re
import signal
import subprocess
import sys
import types
import typing
import weakref
from pathlib import Path

import pytest
import typer

from foundation import process
from foundation import stopping as signals
from foundation.errors import ResourceError, UserError

TIMES = {"hash", "seconds", "cpu_seconds", "tokens_per_second", "peak_bytes"}
ROOT = Path(__file__).parents[2]
HANGS = 600  # seconds
TINY = ["task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "train.batch_size=3",
        "train.evaluate_every=4", "train.checkpoint_every=2", "train.steps=6", "train.warmup=2"]
SET = [part for setting in TINY for part in ("--set", setting)]
TRAIN = ["rmaat", "train", "recall", "--out", "run", "--device", "cpu", "--resume", *SET]


def load(name):
    """What copies of this process need."""
    if name in ("rmaat", "figures"):
        import torch._dynamo  # noqa: F401  by torch's optimizers

        import rmaat.training.trainer  # noqa: F401
    if name == "rmaat":
        return
    import astro_sim.dynamics.scanning
    import astro_sim.run.streaming
    import astro_sim.run.sweeps  # noqa: F401
    from astro_sim.run.sweep_work import load_brian2

    load_brian2()
    if name == "figures":
        import figures.report.alone
        import figures.report.verb  # noqa: F401
    if name == "derivation":
        import derivation.entries.registry
        import derivation.regenerate  # noqa: F401


def program_with(words, change):
    """A program, of which `change` changes something before it begins."""
    def life():
        import importlib

        main = importlib.import_module(f"{words[0]}.__main__").main
        sys.argv = [f"/{words[0]}/__main__.py", *words[1:]]
        change()
        main()

    return life


def stopping(where, when=2, times=1, one_wish=0.):
    """Send this process SIGTERM, so many times, in the call number `when` of a function.

    one_wish: seconds within which signals are one wish.
    """
    def change():
        import importlib

        signals.ONE_WISH = one_wish
        module, _, name = where.rpartition(".")
        try:
            home = importlib.import_module(module)
        except ModuleNotFoundError:
            home = getattr(importlib.import_module(module.rpartition(".")[0]), module.rpartition(".")[2])
        before, calls = getattr(home, name), []

        def stopped(*given, **named):
            calls.append(1)
            if len(calls) == when:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGTERM)
            return before(*given, **named)

        setattr(home, name, stopped)

    return change


def in_brian2():
    import brian2

    start = brian2.Network.run

    def run(self, *given, **named):
        self.add(brian2.NetworkOperation(lambda t: t > 0.5 * brian2.second and os.kill(os.getpid(), signal.SIGTERM),
                                         dt=100 * brian2.ms))
        return start(self, *given, **named)

    brian2.Network.run = run


RUN = ["astro_sim", "run", "li_rinzel", "--duration", "2 s", "--dt", "10 ms", "--out", "a.nc"]
STOPPED = {
    "train": (TRAIN, stopping("rmaat.training.steps.Trainer.advance", 3), "stopped after step 3 of 6",
              "run/checkpoint-00000003.safetensors"),
    "run": ([*RUN, "--method", "rk4", "--backend", "numpy"], in_brian2, "what was recorded until then is in",
            "a.partial.nc"),
    "run, error control": (RUN, stopping("astro_sim.run.ode.run.records", 1), "", ""),
    "run, stream": ([*RUN, "--method", "rk4", "--backend", "numpy", "--stream"], in_brian2,
                    "what was recorded until then is in", "a.partial.nc"),
    "run, a piece": ([*RUN, "--stream"], stopping("astro_sim.run.streaming.Sink._open", 1),
                     "what was recorded until then is in", "a.partial.nc"),
    "sweep": (["astro_sim", "sweep", "li_rinzel", "--vary", "K_P=0.05 umolar,0.1 umolar", "--duration", "1 s", "--dt",
               "10 ms", "--out", "sweep"], stopping("astro_sim.run.sweep_work.run_point"),
              "1 of 2 points are not simulated yet", "sweep/index.csv"),
    "scan": (["astro_sim", "scan", "li_rinzel", "--over", "ip3=0:1:20"],
             stopping("astro_sim.dynamics.scanning._branches", 1), "", ""),
    "derive": (["derivation", "derive", "--out", "record.json", "--cache", "cache"],
               stopping("derivation.simulation.cache.run", 1), "simulations that were done are kept in cache", ""),
    "report": (["figures", "report", "--no-simulation", "--out", "page.html"],
               stopping("figures.report.page.page", 1), "", ""),
    "report, simulating": (["figures", "report", "--out", "page.html"],
                           stopping("figures.report.simulation.simulate", 1), "", ""),
    "report of the record": (["derivation", "report", "--out", "page.html"],
                             stopping("figures.report.alone.page", 1), "", ""),
}


@pytest.mark.fault("C1")
@pytest.mark.slow
@pytest.mark.parametrize("verb", STOPPED)
def test_sigterm(forked, tmp_path, verb):
    """SIGTERM comes, as from a queue of jobs, while a program trains, simulates, sweeps, scans, derives or reports.

    The same as Ctrl-C: the step is finished, what is there is kept and named, nothing half-written stays; exit 143
    (Ctrl-C: 130, SIGHUP: 129).
    """
    words, change, said, kept = STOPPED[verb]
    load(words[0])
    ended = forked(function=program_with(words, change))
    assert ended.code == 143 and "Traceback" not in ended.err, ended
    assert said in ended.err, ended.err
    assert not kept or (tmp_path / kept).exists()
    assert not [path for path in tmp_path.rglob(".*") if path.suffix in (".part", ".lock")]


REPORTING = """
import os, signal, sys
import figures.report.verb as verb
from rmaat.__main__ import main
verb.check_writable = lambda *given, **named: os.kill(os.getpid(), signal.SIGTERM)
sys.argv = ["/rmaat/__main__.py", "report", "--no-simulation", "--out", "page.html"]
main()
"""


@pytest.mark.slow
def test_sigterm_of_a_verb_that_another_program_lends(program, tmp_path):
    """`rmaat report` is the command of `figures`, whose exit code is passed on."""
    ended = program(code=REPORTING)
    assert ended.code == 143 and "Traceback" not in ended.err, ended
    assert list(tmp_path.iterdir()) == []


ANY_MOMENT = {
    **{verb: STOPPED[verb][0] for verb in ("train", "run", "sweep", "derive", "report", "report of the record")},
    "scan": ["astro_sim", "scan", "li_rinzel", "--over", "ip3=0:1:20", "--out", "scan.json"],
    "plot": ["astro_sim", "plot", "known.nc", "--out", "known.png"],
    "export": ["astro_sim", "export", "known.nc", "--out", "known.csv"],
    "report of a recording": ["astro_sim", "report", "known.nc", "--out", "page.html"],
    "evaluate": ["rmaat", "evaluate", "known", "--device", "cpu"],
    "predict": ["rmaat", "predict", "known", "--out", "answers.csv", "--device", "cpu"],
    "compare": ["rmaat", "compare", "known", "--out", "compared"],
    "whatif": ["derivation", "whatif", "--set", "tau_pl=300 second", "--out", "what.json"],
    "figures": ["figures", "retention", "--out", "drawn"],
}
MOST_SECONDS = 3.0  # of CPU time, in which a verb is stopped: all but `derive` have ended by then


@pytest.mark.minutes
@pytest.mark.slow
def test_sigterm_at_any_moment(forked, tmp_path, rounds):
    """Of any verb, wherever it is: 143 or the end, no half-written file, and the same line works afterwards."""
    load("derivation")
    load("figures")
    forked(*["known" if word == "run" else word for word in TRAIN]).ok()
    forked(*["known.nc" if word == "a.nc" else word for word in RUN]).ok()

    def after(seconds):
        def change():
            signal.signal(signal.SIGPROF, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
            signal.setitimer(signal.ITIMER_PROF, seconds)

        return change

    for n in rounds(1):
        draw = random.Random(n)
        verb = draw.choice(sorted(ANY_MOMENT))
        words, moment = ANY_MOMENT[verb], draw.uniform(.001, 1) ** 2 * MOST_SECONDS
        ended = forked(function=program_with(words, after(moment)))
        said = f"round {n}: {verb} after {moment:.3f} s: {ended}"
        assert ended.code in (0, 143, -signal.SIGTERM) and "Traceback" not in ended.err, said
        assert "Exception ignored" not in ended.err, said
        left = [path for path in tmp_path.rglob(".*") if path.suffix in (".part", ".lock")]
        assert not left or ended.code < 0, f"{said}: {left}"
        if words[:2] != ["derivation", "derive"]:
            again = forked(*words)
            assert again.code == 0 or "already exists" in again.err, f"{said}: {again}"


@pytest.mark.fault("C2")
@pytest.mark.slow
def test_sigterm_twice(forked, tmp_path):
    """A second SIGTERM or Ctrl-C comes while the step is being finished.

    The program ends at once, with the same exit code; the last checkpoint is as it was.
    """
    load("rmaat")
    ended = forked(function=program_with(TRAIN, stopping("rmaat.training.steps.Trainer.advance", 4, times=2)))
    assert ended.code == 143 and "stopped after" not in ended.err and "Traceback" not in ended.err, ended
    assert max((tmp_path / "run").glob("*.safetensors")).name == "checkpoint-00000002.safetensors"
    forked(*TRAIN).ok("at step 2 of 6")


@pytest.mark.slow
def test_sigterm_to_a_process_and_to_its_group(forked, tmp_path):
    """As `timeout` sends it: two signals, and one wish."""
    load("rmaat")
    change = stopping("rmaat.training.steps.Trainer.advance", 4, times=2, one_wish=600.)
    ended = forked(function=program_with(TRAIN, change))
    assert ended.code == 143 and "stopped after step 4 of 6" in ended.err, ended


def heard(number):
    """A signal that may be ignored, as nohup or a script's background has it, is no longer."""
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def seen():
    """Python looks for signals at the end of a loop's body."""
    for _ in range(100):
        pass


class Sends:
    """Sends this process a signal as it is removed."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        seen()


def by_a_destructor(number):
    Sends(number)


def by_a_weak_reference(number):
    kept = {number}
    reference = weakref.ref(kept, lambda gone: (os.kill(os.getpid(), number), seen()))
    del kept
    assert reference() is None


def by_the_collection(number):
    def begun(phase, info):
        gc.callbacks.remove(begun)
        os.kill(os.getpid(), number)
        seen()

    gc.callbacks.append(begun)
    gc.collect()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("inside", [by_a_destructor, by_a_weak_reference, by_the_collection])
def test_a_signal_where_python_lets_no_error_out(forked, inside, number):
    """It is not lost, and no traceback is printed: the work, which would go on for ever, ends a moment later."""
    import figures.__main__ as figures

    def for_ever(*given, **named):
        inside(number)
        while True:
            seen()

    def change():
        heard(number)
        figures.draw = for_ever

    ended = forked(function=program_with(["figures", "places", "--out", "drawn"], change), seconds=20)
    assert (ended.code, ended.err) == (128 + number, ""), ended


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("ends", [True, False])
def test_a_signal_while_a_module_is_loaded(forked, tmp_path, monkeypatch, number, ends):
    """It is heard when that is there, as libraries are left half loaded otherwise; one that never is does not hang."""
    import figures.__main__ as figures

    after = "open('loaded', 'w').close()" if ends else "while True:\n    pass"
    (tmp_path / "loading.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\nseen()\n{after}\n", "utf-8")

    def for_ever(*given, **named):
        import builtins

        builtins.seen = seen
        sys.path.insert(0, str(tmp_path))
        importlib.import_module("loading")
        while True:
            seen()

    def change():
        heard(number)
        monkeypatch.setattr(signals, "LOADS", 20. if ends else .2)
        figures.draw = for_ever

    ended = forked(function=program_with(["figures", "places", "--out", "drawn"], change), seconds=20)
    assert (ended.code, ended.err) == (128 + number, ""), ended
    assert (tmp_path / "loaded").exists() == ends


def hides(error):
    """As pybind11 does where a signal comes while a library is loaded, and Python itself of functions in C."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as wish:
        raise error from wish


def seems_not_installed(error):
    try:
        hides(error)
    except ImportError:
        raise UserError(f"{error}; install it") from error


def cannot_keep_what_is_there(error):
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise error  # noqa: B904


@pytest.mark.parametrize(("work", "error", "code"), [
    (hides, ImportError("initialization failed"), 130),
    (seems_not_installed, ImportError("initialization failed"), 130),
    (hides, SystemError("returned a result with an exception set"), 130),
    (cannot_keep_what_is_there, ResourceError("the disk is full"), 4)])
def test_a_wish_that_a_library_has_made_an_error_of(forked, work, error, code):
    import figures.__main__ as figures

    def change():
        figures.draw = lambda *given, **named: work(error)

    ended = forked(function=program_with(["figures", "places", "--out", "drawn"], change))
    assert (ended.code, ended.err) == (code, "error: the disk is full\n" if code == 4 else ""), ended


def test_a_lost_signal_comes_again_when_the_main_thread_has_gone_on(monkeypatch):
    """Sent in the moment in which that lets another thread run, it would not end a wait that begins just then."""
    now, sent = [0.0], []
    slept = iter([1.0, .5, .012])

    class Clock:
        monotonic = staticmethod(lambda: now[0])

        @staticmethod
        def sleep(seconds):
            now[0] += next(slept)

    monkeypatch.setattr(signals, "time", Clock)
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((number, now[0])))
    signals._once_more([], signal.SIGTERM)
    assert not sent  # what was to stop has ended by itself
    now[0], slept = 0.0, iter([1.0, .5, .012])
    signals._once_more([True], signal.SIGTERM)
    assert sent == [(signal.SIGTERM, pytest.approx(1.512))]
    slept = iter([1.0] * 100)
    signals._once_more([True], signal.SIGTERM)
    assert len(sent) == 2  # it comes however busy the main thread is


IN_A_TEXT = """
import os, signal, sys
import figures.__main__ as figures
NUMBER = int(os.environ["NUMBER"])
signal.signal(NUMBER, signal.default_int_handler if NUMBER == signal.SIGINT else signal.SIG_DFL)
figures.draw = lambda *given, **named: exec(f"os.kill(os.getpid(), {NUMBER}); import time; time.sleep(600)", {"os": os})
sys.argv = ["/figures/__main__.py", "places", "--out", "drawn"]
figures.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_a_text_that_is_run(program, tmp_path, number):
    """With `-m` Python would end by SIGINT then, whatever the exit code is."""
    (tmp_path / "in_a_text.py").write_text(IN_A_TEXT, "utf-8")
    ended = program("in_a_text", env={"NUMBER": int(number)})
    assert (ended.code, ended.err) == (128 + number, ""), ended


IGNORED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
import figures.__main__ as figures
def draw(*given, **named):
    import brian2
    os.kill(os.getpid(), signal.SIGINT)
    return ["drawn"]
figures.draw = draw
sys.argv = ["/figures/__main__.py", "places", "--out", "drawn"]
figures.main()
"""


@pytest.mark.slow
def test_ctrl_c_that_is_ignored_stays_so(program):
    """As in the background of a script, and where Brian2 is imported, which calls what was there before."""
    ended = program(code=IGNORED)
    assert (ended.code, ended.out, ended.err) == (0, "drawn\n", ""), ended


def test_an_error_of_a_destructor_is_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: told.append(one.exc_type))
    with signals.as_ctrl_c():
        type("Bad", (), {"__del__": lambda self: 1 / 0})()
    assert told == [ZeroDivisionError]


EVALUATING = {  # where SIGTERM comes, in which call, and what is said
    "validation": ("rmaat.training.evaluation.answers", 1, "stopped after step 4 of 6"),
    "the last step": ("rmaat.training.steps.Trainer.advance", 6, "stopped after step 6 of 6"),
    "the last validation": ("rmaat.training.evaluation.answers", 4, "stopped after step 6 of 6"),
    "test": ("rmaat.training.evaluation.answers", 7, "go on with --resume"),
    "controls": ("rmaat.training.trainer.control_rows", 1, "go on with --resume"),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", EVALUATING)
def test_sigterm_while_a_run_is_evaluated(forked, tmp_path, moment):
    """An evaluation may take minutes: it is left at once, and made when the run goes on, with the same result."""
    from rmaat.training.metrics import read_metrics

    where, when, said = EVALUATING[moment]
    words = [*TRAIN, "--set", "task.validation=300"]  # three batches
    load("rmaat")
    forked(*["whole" if word == "run" else word for word in words]).ok()
    ended = forked(function=program_with(words, stopping(where, when)))
    assert ended.code == 143 and "Traceback" not in ended.err and said in ended.err, ended
    assert not (tmp_path / "run/result.json").exists()
    before = [line["step"] for line in read_metrics(tmp_path / "run/metrics.jsonl") if "validation_loss" in line]
    assert before == {"validation": [], "the last step": [4], "the last validation": [4]}.get(moment, [4, 6])
    forked(*words).ok()
    whole, found = ([{name: value for name, value in line.items() if name not in TIMES} for line in read_metrics(
        tmp_path / folder / "metrics.jsonl")] for folder in ("whole", "run"))
    assert found == whole and sum("validation_loss" in line for line in whole) == 2
    last = "checkpoint-00000006.safetensors"
    assert (tmp_path / "run" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()


STUCK = '''
import os, signal, sys
from dataclasses import dataclass
from rmaat.tasks.task import Task
from rmaat.training.experiment import TrainConfig, experiment

@dataclass(frozen=True)
class Stuck(Task):
    """Data that are never made, whoever asks for an end."""
    vocab_size = 2
    num_classes = 2
    max_length: int = 4

    def split(self, name, data=None):
        print("begun", os.getpid(), file=sys.stderr, flush=True)
        while True:
            try:
                signal.pause()
            except KeyboardInterrupt:
                print("asked", file=sys.stderr, flush=True)

def small():
    return experiment("stuck", Stuck(), TrainConfig(steps=4, batch_size=2), segment_length=2)
'''


@pytest.mark.slow
def test_sigterm_twice_of_a_study(tmp_path):
    """Its processes are ended, whatever they do."""
    (tmp_path / "stuck.py").write_text(STUCK, "utf-8")
    (tmp_path / "stuck.toml").write_text('configs = ["stuck.py:small"]\nseeds = [0, 1]\n', "utf-8")
    program = "from foundation import stopping; from rmaat.__main__ import main; stopping.ONE_WISH = 0; main()"
    with subprocess.Popen([sys.executable, "-c", program, "study", "stuck.toml", "--out", "runs", "--device", "cpu"],
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
                          text=True) as study:
        lines = iter(study.stderr.readline, "")
        worker = next(int(line.split()[1]) for line in lines if line.startswith("begun "))
        assert process.started(worker)
        study.send_signal(signal.SIGTERM)
        os.kill(worker, signal.SIGTERM)  # as a queue does, which sends it to all; the study alone decides
        assert "asked\n" in lines
        study.send_signal(signal.SIGTERM)
        try:
            assert study.wait(timeout=HANGS) == 143
        finally:
            study.kill()
            said = "".join(lines)
    assert "Traceback" not in said and "asked" not in said, said
    assert process.started(worker) is None
    assert not [path for path in tmp_path.rglob(".*") if path.suffix in (".part", ".lock")]


@pytest.mark.fault("C3")
@pytest.mark.slow
def test_a_damaged_checkpoint(forked, tmp_path):
    """The last checkpoint of a run, or the file that names it, is cut or altered.

    The one before is taken, with a note; going on says from which step, and ends with the bits of an undamaged run.
    """
    load("rmaat")
    forked(*TRAIN).ok()
    whole = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("checkpoint*")}
    for name in ("checkpoint-00000006.safetensors", "checkpoint.json"):
        path = tmp_path / "run" / name
        path.write_bytes(path.read_bytes()[:-9])
        forked("rmaat", "evaluate", "run", "--device", "cpu").ok("note: ", "taken is the checkpoint before, of step 4")
        forked(*TRAIN).ok("taken is the checkpoint before, of step 4", "going on with run at step 4 of 6")
        assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("checkpoint*")} == whole


@pytest.mark.fault("C4")
@pytest.mark.slow
def test_another_config(forked, tmp_path):
    """A run is gone on with under a config that differs in several fields.

    Exit 2 and every field that differs, with both values, and which may be changed: a finished run can be extended.
    """
    load("rmaat")
    forked(*TRAIN).ok()
    forked(*TRAIN, "--set", "model.width=12", "--set", "train.seed=3", "--set", "train.steps=9").refused(
        2, "model.width is 8 there, 12 here", "train.seed is 0 there, 3 here", "train.steps, train.learning_rate")
    forked(*TRAIN, "--set", "train.steps=9").ok("at step 6 of 9", "train.steps 6 -> 9; the learning rate goes from")
    assert (tmp_path / "run" / "checkpoint-00000009.safetensors").exists()


@pytest.mark.fault("C5")
@pytest.mark.slow
def test_a_training_that_diverges(forked, tmp_path):
    """The loss of a training is no longer a finite number.

    Exit 2; the step, its batch, its seeds and the weights before it are kept to be looked at, and a lower learning
    rate can go on from the last checkpoint.
    """
    load("rmaat")

    def bend():
        from rmaat.training.steps import Trainer

        advance = Trainer.advance

        def bent(self, asked=lambda: False):
            if self.step == 3:
                self.model.head.bias.data.fill_(float("inf"))
            return advance(self, asked)

        Trainer.advance = bent

    forked(function=program_with(TRAIN, bend)).refused(2, "diverged at step 4: loss", "--resume", "diverged.json")
    from rmaat.training.diverged import load as kept

    assert kept(tmp_path / "run").step == 4
    forked(*TRAIN, "--set", "train.learning_rate=1e-4").ok("at step 2 of 6", "train.learning_rate 0.002 -> 0.0001")


@pytest.mark.fault("C6")
@pytest.mark.slow
def test_points_that_fail(forked, tmp_path):
    """Some points of a sweep fail.

    The others are recorded; the points that failed are listed with the reason, also in index.csv; exit 1.
    """
    load("astro_sim")
    words = ["astro_sim", "sweep", "macro", "--vary", "seed=1,2", "--duration", "60 s", "--dt", "5 s", "--method",
             "rk4", "--backend", "numpy", "--out", "sweep"]
    ended = forked(*words)
    assert ended.code == 1 and len(re.findall(r"^  [0-9a-f]{12}: UserError: ", ended.out, re.MULTILINE)) == 2, ended
    assert (tmp_path / "sweep" / "index.csv").read_text().count("UserError") == 2


@pytest.mark.fault("C7")
@pytest.mark.slow
@pytest.mark.parametrize("words", [("astro_sim", "list"), ("astro_sim", "--help"), ("astro_sim", "protocols", "--json"),
                                   ("derivation", "show", "--json"), ("rmaat", "tasks"), ("rmaat", "configs"),
                                   ("figures", "--list"), ("figures", "--version")], ids=" ".join)
def test_output_that_nobody_reads(forked, words):
    """What a program prints goes into `head`, which leaves, or to a disk that is full.

    Into `head`: exit 0, no word. To `/dev/full`: exit 4 and one line.
    """
    def to(what):
        def change():
            if what == "left":
                reading, writing = os.pipe()
                os.close(reading)
            else:
                writing = os.open("/dev/full", os.O_WRONLY)
            os.dup2(writing, 1)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115

        return change

    left = forked(function=program_with(words, to("left")))
    assert (left.code, left.err) == (0, ""), left
    forked(function=program_with(words, to("full"))).refused(4, "cannot write the standard output: No space left")


PROGRAMS = ("astro_sim", "derivation", "rmaat", "figures")
READ = {"--data", "--from", "--record", "--cache", "--run", "--study"}  # read, or made when needed
ARGUMENTS = {  # what else each verb needs
    "astro_sim run": ["li_rinzel"], "astro_sim sweep": ["li_rinzel", "--vary", "seed=1,2", "--measure", "peak(C)"],
    "astro_sim fit": ["li_rinzel", "data.csv", "--free", "ip3=0.1:1"], "astro_sim plot": ["a.nc"],
    "astro_sim export": ["a.nc"], "astro_sim scan": ["li_rinzel", "--over", "ip3=0:1:5"],
    "derivation whatif": ["--set", "tau_pl=300 second"], "rmaat train": ["recall"], "figures": [],
    "rmaat study": ["quick"], "rmaat compare": ["."], "rmaat predict": ["run"], "astro_sim report": ["a.nc"],
}
ENDINGS = {"--picture": "x.png", "astro_sim plot": "x.png", "astro_sim export": "x.csv", "astro_sim scan": "x.json",
           "--recording": "x.nc", "astro_sim run": "x.nc", "rmaat predict": "x.csv"}


def writing_options():
    """(program and verb, option) for every option that takes a path, but those that read."""
    import importlib

    def of(app, words):
        for group in app.registered_groups:
            yield from of(group.typer_instance, [*words, group.name])
        for command in app.registered_commands:
            alone = len(app.registered_commands) == 1 and app.registered_callback is None
            name = [] if alone else [command.name or command.callback.__name__.replace("_", "-")]
            for parameter, hint in typing.get_type_hints(command.callback, include_extras=True).items():
                info = next((each for each in getattr(hint, "__metadata__", ())
                             if isinstance(each, typer.models.OptionInfo)), None)
                kind = getattr(hint, "__origin__", None)
                if info and Path in (kind, *typing.get_args(kind)):
                    spelled = [text for text in (info.default, *(info.param_decls or ()))
                               if isinstance(text, str) and text.startswith("--")]
                    option = max(spelled or [f"--{parameter.replace('_', '-')}"], key=len)
                    if option not in READ:
                        yield [*words, *name], option

    for program in PROGRAMS:
        yield from of(importlib.import_module(f"{program}.__main__").app, [program])


def forbid_work():
    """Anything that computes, or reads data to compute with, is too late."""
    import importlib

    def late(*given, **named):
        raise AssertionError("computed before --out was looked at")

    for where in ("astro_sim.run.simulation.run", "astro_sim.run.streaming.run_to_file", "astro_sim.run.sweeps.sweep",
                  "astro_sim.run.fitting.data_fit.fit", "astro_sim.dynamics.scan", "derivation.regenerate.derive",
                  "derivation.proof.what_if.whatif", "derivation.proof.uncertainty.draw_records",
                  "figures.__main__.draw", "astro_sim.benchmark.report.benchmark", "rmaat.training.trainer.begin",
                  "rmaat.benchmark.measure.peaks", "rmaat.training.data.load_splits"):
        module, _, name = where.rpartition(".")
        home = importlib.import_module(module)
        assert isinstance(home, types.ModuleType) and hasattr(home, name), where
        setattr(home, name, late)


@pytest.mark.fault("C8")
@pytest.mark.slow
@pytest.mark.parametrize(("words", "option"), list(writing_options()), ids=lambda value: "".join(value))
def test_an_out_that_cannot_be_written(forked, tmp_path, words, option):
    """`--out`, or another option that says what to write, cannot be written: below a file, or where nobody may write.

    Exit 2, before anything is computed. Every option of every verb that takes a path to write is tried.
    """
    load("rmaat" if words[0] == "rmaat" else "derivation")
    Path(tmp_path / "file").write_text("")
    verb = " ".join(words[:2])
    name = ENDINGS.get(option) or ENDINGS.get(verb, "x.json")
    for place in (f"file/{name}", f"/proc/{name}"):
        given = [*words, *ARGUMENTS.get(verb, []), option, place]
        if option != "--out" and verb in ("astro_sim sweep",):
            given += ["--out", "sweep"]
        forked(function=program_with(given, forbid_work)).refused(2, place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.fault("C9")
@pytest.mark.slow
def test_lines_that_were_altered(forked, tmp_path):
    """A line of metrics.jsonl is altered, put in or taken out; or a kill leaves half a line.

    Exit 3 naming the line, as each has a hash of itself and of all before it; half a line at the end is left out. A
    result knows the last hash, so that lines cannot go missing at the end.
    """
    load("rmaat")
    forked(*TRAIN).ok()
    path = tmp_path / "run" / "metrics.jsonl"
    kept = path.read_bytes()
    more = [*TRAIN, "--set", "train.steps=7"]
    for number, change in enumerate((lambda rows: [*rows[:2], rows[2].replace(b":2", b":3", 1), *rows[3:]],
                                     lambda rows: [*rows[:2], *rows[3:]], lambda rows: [rows[0], *rows[:1], *rows[1:]],
                                     lambda rows: [*rows[:4]])):
        path.write_bytes(b"".join(change(kept.splitlines(keepends=True))))
        forked(*more).refused(3, "metrics.jsonl", "line")
        assert not (tmp_path / "run" / "changes.json").exists(), number
    path.write_bytes(kept + kept.splitlines()[-1][:40])
    forked(*more).ok("at step 6 of 7")


@pytest.mark.fault("C10")
@pytest.mark.slow
def test_too_little_memory_or_disk(forked, tmp_path, monkeypatch):
    """A training runs out of memory, or its disk becomes full.

    Exit 4: how many bytes were asked for and how many are free, and what to lower: batch, segment, keep_last. The
    checkpoint before is whole, and goes on once there is room.
    """
    load("rmaat")
    monkeypatch.setattr("foundation.machine.usable_memory", lambda: math.inf)  # what no estimate foresees
    large = forked(*TRAIN, "--set", "train.batch_size=7", "--set", "model.width=16384", "--set", "model.heads=1",
                   memory=1 << 30)
    large.refused(4, "not enough memory", "bytes", "model.segment_length", "model.keep_last")
    full = ["full" if word == "run" else word for word in [*TRAIN, "--set", "model.width=128"]]
    forked(*full, file_size=200_000).refused(4, "cannot write", "it needs at least", "200 kB are allowed", "--resume")
    assert not list((tmp_path / "full").glob(".*"))
    forked(*full).ok()


@pytest.mark.fault("C12")
def test_a_diagram_that_is_altered(tmp_path):
    """A saved bifurcation diagram is altered or cut, or an older or a later version wrote it.

    Altered: exit 3, by a hash of itself. An older one, which had none, is read; a later one says so, exit 2.
    """
    import json

    from astro_sim.dynamics.diagram import Diagram
    from foundation import sealed
    from foundation.errors import DamagedFileError, UserError

    rows = [{"input": x / 7, "C": x / 3, "stable": x < 2, "branch": 1} for x in range(4)]
    made = Diagram("own", "p", "ip3", "C", {"ip3": "umolar", "C": "umolar"}, rows, [.25], [1 / 9], [],
                   long_names={"C": "Kalzium ä"})
    path = made.save(tmp_path / "a.json")
    assert Diagram.load(path) == made
    text = path.read_text("utf-8")
    for place in range(0, len(text), 3):
        if text[place].isalnum():
            path.write_text(text[:place] + ("7" if text[place] != "7" else "5") + text[place + 1:], "utf-8")
            with pytest.raises((DamagedFileError, UserError)):
                Diagram.load(path)
    path.write_text(text[:-len(text) // 3], "utf-8")
    with pytest.raises(DamagedFileError):
        Diagram.load(path)
    path.write_text(made.to_json(), "utf-8")
    assert Diagram.load(path) == made, "as older versions wrote it"
    later = {key: value for key, value in json.loads(text).items() if key not in ("kind", "schema", "hash")}
    sealed.write(path, "bifurcation diagram", later, schema=2)
    with pytest.raises(UserError, match="use the version that wrote it"):
        Diagram.load(path)
