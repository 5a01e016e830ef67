"""Kills spread over the whole life of what writes: what comes out is that of a life without, and nothing is left over.

A life is a copy of this process, which has loaded what it needs. The kernel ends it once it has used so much CPU time,
drawn evenly over that of a whole life, so that it does not matter how busy the machine is. Every other life ends by
SIGKILL, which is what a limit on CPU time ends with, in whole seconds; the rest end by a timer's signal that has no
handler, which is to a process the same, and costs no time. Then another goes on from what it left, until one comes to
its end.
"""

import contextlib
import functools
import itertools
import math
import os
import random
import resource
import select
import signal
import socket

import pytest

MOST_KILLS = 12  # of one chain of lives, so that it comes to an end
MEETS = 5  # seconds that a process may wait for one that has ended, before torchrun would end it
ALONE = 120  # seconds in which two processes come to an end of what they do
KILLED = {-signal.SIGKILL, -signal.SIGPROF}
kinds = itertools.cycle([True, False])


def begin(life, most=None):
    """A copy of this process that runs `life`, and is killed after `most` seconds of CPU time; its pid."""
    by_sigkill = most is not None and next(kinds)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        if by_sigkill:
            whole = math.ceil(most)
            while sum(os.times()[:2]) < whole - most:
                pass  # so that `most` are left of whole seconds
            resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
        else:
            signal.setitimer(signal.ITIMER_PROF, most or 0)
        life()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def ended(pids):
    """Wait until all have ended: their exit codes, and the CPU-seconds of the first."""
    told = [os.wait4(pid, 0) for pid in pids]
    return [os.waitstatus_to_exitcode(status) for _, status, _ in told], told[0][2].ru_utime + told[0][2].ru_stime


def chain(generator, lives, whole, count=1, wait=ended):
    """Lives that are killed at some moment of a whole one, until one comes to its end; how many were killed."""
    for kills in itertools.count():
        codes, _ = wait(lives(generator.uniform(0, whole) if kills < MOST_KILLS else None))
        if codes == [0] * count:
            return kills
        assert KILLED & set(codes), f"ended by itself: {codes}"
    return None


def content(folder, without=()):
    """Name and content of every file, in all folders."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in without}


TINY = ["task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "model.dropout=.2",
        "train.batch_size=3", "train.evaluate_every=5", "train.checkpoint_every=2", "train.warmup=2", "train.steps=14"]
CLOCKS = ("tokens_per_second", "peak_bytes", "seconds", "cpu_seconds", "timed_steps", "metrics_hash", "hash", "run",
          "commit")


def training(folder, most=None, met=None, **variables):
    """A process that trains in `folder`, or goes on; `met`, a file, is made once it has met the others."""
    def life():
        import torch

        from rmaat.training import trainer
        from rmaat.training.distributed import join, leave

        @contextlib.contextmanager
        def joined(device):
            with join(device) as world:
                met.touch()
                yield world

        torch.set_num_threads(1)
        os.environ |= variables
        if met is not None:
            met.unlink(missing_ok=True)
            trainer.join = joined
        trainer.train("recall", folder, changes=TINY, device="cpu", resume=True, quiet=True)
        leave()

    return begin(life, most)


def trained(folder):
    """What a run left, without what a clock says: checkpoints bit for bit, metrics, result."""
    from rmaat.training.metrics import read_metrics
    from rmaat.training.result import load_run

    told = load_run(folder).to_json()
    files = content(folder, ("metrics.jsonl", "result.json", "environment.json", "manifest.json"))
    lines = [{key: value for key, value in line.items() if key not in CLOCKS}
             for line in read_metrics(folder / "metrics.jsonl")]
    return files, lines, {key: value for key, value in told.items() if key not in CLOCKS}, sorted(
        path.name for path in folder.iterdir())


@pytest.mark.fault("F10")
@pytest.mark.minutes
@pytest.mark.slow
def test_a_training_that_is_killed(tmp_path, rounds):
    """A training is killed at any moment, from its first line to its last, and gone on with, again and again.

    Checkpoints, metrics and result are those of a run that was never killed, bit for bit; nothing is left over.
    """
    import torch._dynamo  # noqa: F401  by torch's optimizers

    import rmaat.training.trainer  # noqa: F401

    (codes, whole), generator = ended([training(tmp_path / "whole")]), random.Random()
    assert codes == [0]
    expected, kills = trained(tmp_path / "whole"), 0
    for n in rounds(1):
        folder = tmp_path / str(n)
        kills += chain(generator, lambda most, folder=folder: [training(folder, most)], whole)
        assert trained(folder) == expected
    print(f"{kills} kills of a training, {whole:.2f} CPU-seconds long")


def pair(folder, most=(None, None)):
    """Two processes that train together, each killed after so many seconds of CPU time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [training(folder, most[rank], folder.with_name(f"met{rank}"), RANK=str(rank), LOCAL_RANK=str(rank), **common)
            for rank in (0, 1)]


def ended_as_under_torchrun(folder, pids):
    """`ended`; of two of which one was killed, the other must end by itself once they have met.

    One that still waits for the first is killed, as torchrun does when a process has ended.
    """
    waits = {os.pidfd_open(pid): (pid, folder / f"met{rank}") for rank, pid in enumerate(pids)}
    try:
        first = select.select(list(waits), [], [], ALONE)[0]
        assert first, "neither process ends"
        for pidfd, (pid, met) in waits.items():
            if pidfd in first or select.select([pidfd], [], [], MEETS)[0]:
                continue
            if met.exists():
                assert select.select([pidfd], [], [], ALONE)[0], f"process {pid} goes on without the other"
            else:
                os.kill(pid, signal.SIGKILL)
        return ended(pids)
    finally:
        for pidfd in waits:
            os.close(pidfd)


@pytest.mark.fault("F11")
@pytest.mark.minutes
@pytest.mark.slow
def test_two_processes_that_are_killed(tmp_path, rounds):
    """One of two processes that train together, or both, are killed at any moment, and the training is gone on with.

    The other one ends, with exit code 4 where it lost contact; the result is that of a training that was never killed.
    """
    import torch._dynamo  # noqa: F401  by torch's optimizers

    import rmaat.training.trainer  # noqa: F401

    generator, kills, whole, wait = random.Random(), 0, 0., functools.partial(ended_as_under_torchrun, tmp_path)
    for n in rounds(0):
        folder = tmp_path / str(n)
        if not whole:
            codes, whole = ended(pair(tmp_path / "whole"))
            assert codes == [0, 0]
            expected = trained(tmp_path / "whole")
        kills += chain(generator, lambda most, folder=folder: pair(
            folder, generator.choice([(most, most), (most, None), (None, most)])), whole, 2, wait)
        assert trained(folder) == expected
    print(f"{kills} kills of a training of two processes, {whole:.2f} CPU-seconds long")


def sweep_over(folder):
    """Four points, of which one fails."""
    from astro_sim.run.sweeps import grid, sweep

    common = {"model": "li_rinzel", "duration": "4 s", "dt": "10 ms", "method": "rk4", "backend": "numpy"}
    bad = {**common, "dt": "5 s", "duration": "60 s"}
    outcome = sweep([*grid({"K_P": ["0.05 umolar", "0.08 umolar", "0.1 umolar"]}, **common), bad], folder)
    assert len(outcome.failed) == 1


def sweeping(folder, most=None):
    """A process that sweeps."""
    return begin(lambda: sweep_over(folder), most)


def recorded(folder):
    """Name, and hash of the content, of every recording; index and failures as they are."""
    from astro_sim.recording.recording import Recording

    files = content(folder)
    return {name: Recording.load(folder / name).content_hash if name.endswith(".nc") else data
            for name, data in files.items()}


@pytest.mark.fault("F12")
@pytest.mark.minutes
@pytest.mark.slow
def test_a_sweep_that_is_killed(tmp_path, rounds):
    """A sweep is killed at any moment, and started again with the same line.

    What was recorded is kept; recordings, failures and index are those of a sweep that was never killed.
    """
    sweep_over(tmp_path / "warm")  # what it loads and compiles, copies have
    (codes, whole), generator = ended([sweeping(tmp_path / "whole")]), random.Random()
    assert codes == [0]
    expected, kills = recorded(tmp_path / "whole"), 0
    for n in rounds(1):
        folder = tmp_path / str(n)
        kills += chain(generator, lambda most, folder=folder: [sweeping(folder, most)], whole)
        assert recorded(folder) == expected
    print(f"{kills} kills of a sweep, {whole:.2f} CPU-seconds long")


def entry(workbench):
    """An entry that rests on two short simulations."""
    from dataclasses import replace

    from derivation.entries.build import simulated
    from derivation.record import record
    from derivation.simulation.cache import simulate
    from derivation.simulation.simulations import STEPPED

    found = [workbench.recording(f"ip3 = {ip3}", lambda ip3=ip3: simulate(
        "li_rinzel", f"constant:input=ip3,value={ip3} umolar", duration="1 s", dt="20 ms", **STEPPED))
        for ip3 in (.3, .5)]
    known = record.load().entry("retention")
    highest = max(float(one["C"].values.max()) for one in found)
    return replace(known, simulations=tuple(simulated(f"run {n}", one) for n, one in enumerate(found)),
                   evidence=replace(known.evidence, recording=found[0].hash, max_error=highest))


def deriving(folder, most=None):
    """A process that derives, simulations being kept, and writes the record."""
    def life():
        from derivation.record import record
        from derivation.regenerate import derive
        from foundation.files import remove_leftovers

        remove_leftovers(folder, ".record.json.")
        record.save(derive({"retention": entry}, keep=folder / "cache").record, folder / "record.json")

    return begin(life, most)


@pytest.mark.fault("F13")
@pytest.mark.minutes
@pytest.mark.slow
def test_a_derivation_that_is_killed(tmp_path, rounds):
    """`derive` is killed at any moment, and started again with the same line.

    Simulations that were done are not done again; record and simulations are those of an uninterrupted one.
    """
    from derivation.regenerate import derive

    derive({"retention": entry})  # what it loads and compiles, copies have
    (codes, whole), generator = ended([deriving(tmp_path / "whole")]), random.Random()
    assert codes == [0]
    expected, kills = recorded(tmp_path / "whole"), 0
    for n in rounds(0):
        folder = tmp_path / str(n)
        kills += chain(generator, lambda most, folder=folder: [deriving(folder, most)], whole)
        assert recorded(folder) == expected
    print(f"{kills} kills of a derivation, {whole:.2f} CPU-seconds long")
