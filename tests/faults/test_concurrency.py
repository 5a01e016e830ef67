"""Several processes at once: two writers, a reader beside a writer, processes that would not train the same."""

import contextlib
import itertools
import os
import signal
import socket
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from foundation import cli

TINY = ["task.num_segments=2", "task.segment=3", "task.train=7", "task.validation=3", "task.test=5",
        "model.segment_length=3", "model.width=8", "model.layers=1", "model.num_memory_tokens=2", "train.batch_size=3",
        "train.evaluate_every=4", "train.checkpoint_every=2", "train.steps=6", "train.warmup=2"]
SET = [part for setting in TINY for part in ("--set", setting)]
SWEEP = ["astro_sim", "sweep", "li_rinzel", "--vary", "K_P=0.05 umolar,0.1 umolar", "--duration", "1 s", "--dt",
         "10 ms", "--out", "sweep"]
TRAIN = ["rmaat", "train", "recall", "--out", "run", "--device", "cpu", "--resume", *SET]


def load(name):
    """What copies of this process need."""
    if name == "rmaat":
        import torch._dynamo  # noqa: F401  by torch's optimizers

        import rmaat.training.trainer  # noqa: F401
    else:
        import astro_sim.run.streaming
        import astro_sim.run.sweeps  # noqa: F401
        from astro_sim.run.sweep_work import load_brian2

        load_brian2()


@contextlib.contextmanager
def stuck(words, where, cwd):
    """Inside, another process has come to the function `where` of the program `words`, and stays there; its pid."""
    module, _, name = where.rpartition(".")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            import importlib

            os.chdir(cwd)
            sys.argv = [f"/{words[0]}/__main__.py", *words[1:]]
            home = importlib.import_module(module) if module in sys.modules else getattr(
                importlib.import_module(module.rpartition(".")[0]), module.rpartition(".")[2])
            setattr(home, name, lambda *given, **named: (os.write(writing, b"x"), signal.pause()))
            cli.run(importlib.import_module(f"{words[0]}.__main__").app)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"x", "it has come there"
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)


@pytest.mark.fault("B1")
@pytest.mark.slow
@pytest.mark.parametrize(("words", "where", "folder"), [
    (TRAIN, "rmaat.training.steps.Trainer.advance", "run"),
    (SWEEP, "astro_sim.run.sweep_work.run_point", "sweep")], ids=["train", "sweep"])
def test_two_writers_in_one_folder(forked, tmp_path, words, where, folder):
    """Two trainings, or two sweeps of the same shard, are started in one folder.

    The second one exits with 4 and names the first by pid and host. The lock of a process that was killed is taken
    over. Who makes what a cache lacks is waited for.
    """
    load(words[0])
    with stuck(words, where, tmp_path) as pid:
        forked(*words).refused(4, f"is being written by process {pid} on ")
    assert list((tmp_path / folder).glob("*.lock")) + list((tmp_path / folder).glob(".*lock")), "as a kill leaves it"
    forked(*words).ok()
    assert not [path.name for path in (tmp_path / folder).iterdir() if path.name.startswith(".")]


def test_a_lock_that_cannot_be_written(forked, tmp_path):
    """A disk that is full: exit 4 with the bytes, and no empty lock, nor the folder that was made for it, stays."""
    from foundation.errors import ResourceError
    from foundation.lock import LOCK, locked

    def take():
        with pytest.raises(ResourceError, match=r"needs at least \d+ B, 20 B are allowed"), \
                locked(tmp_path / "run" / LOCK, "training"):
            pass

    ended = forked(function=take, file_size=20)
    assert (ended.code, list(tmp_path.iterdir())) == (0, []), ended


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nowhere"])
def test_what_stands_in_the_place_of_a_lock(tmp_path, kind):
    """Nothing is read from a pipe or a device, and nothing waits."""
    from foundation.errors import UserError
    from foundation.lock import LOCK, locked

    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": os.mkdir,
     "nowhere": lambda path: path.symlink_to("/nowhere/at/all")}[kind](tmp_path / LOCK)
    says = "no regular file, so no lock; remove it" if kind in ("pipe", "device") else "cannot write"
    with pytest.raises(UserError, match=says), locked(tmp_path / LOCK, "training"):
        pass


def test_what_a_lock_says_is_one_line_of_bounded_length(tmp_path):
    import json

    from foundation.errors import ResourceError
    from foundation.lock import LOCK, locked

    (tmp_path / LOCK).write_text(json.dumps({"schema": 1, "pid": 7, "host": "else\nwhere", "started": "",
                                             "what": "\x1b[31m" + "x" * 5000, "since": "\rnow"}))
    with pytest.raises(ResourceError, match=r"process 7 on else\?where \(\?\[31mx+, since \?now\)") as raised, \
            locked(tmp_path / LOCK, "training"):
        pass
    assert len(str(raised.value)) < 600 and str(raised.value).isprintable()


@pytest.mark.fault("B2")
@pytest.mark.slow
def test_a_reader_beside_a_writer(tmp_path):
    """A checkpoint is read while the training saves others, as quickly as it can.

    Every reading is of one whole state: the last two are kept, and a reader looks again what the last one is.
    """
    import torch

    from rmaat.training.checkpoint import Checkpoint, FallenBack, load, save

    def state(step):
        values = torch.randn(3, 4, generator=torch.Generator().manual_seed(step))
        return Checkpoint(step, {"model.weight": values}, "c", "r")

    save(tmp_path, state(1))
    child = os.fork()
    if child == 0:
        try:
            for step in itertools.count(2):
                save(tmp_path, state(step))
        finally:
            os._exit(1)
    try:
        with warnings.catch_warnings(action="error", category=FallenBack):
            steps = []
            while len(steps) < 150 or len(set(steps)) < 30:
                found = load(tmp_path, "c", "r")
                assert torch.equal(found.tensors["model.weight"], state(found.step).tensors["model.weight"])
                steps.append(found.step)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert steps == sorted(steps)


def together(tmp_path, *words, change=lambda rank: None):
    """Two processes of a training, each with its own words: exit codes and standard errors by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pids = []
    for rank, given in enumerate(words):
        pid = os.fork()
        if pid == 0:
            try:
                import rmaat.__main__

                os.chdir(tmp_path)
                for number, name in ((1, "out"), (2, "err")):
                    os.dup2(os.open(f"{name}{rank}", os.O_WRONLY | os.O_CREAT), number)
                sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_PORT": port,
                               "MASTER_ADDR": "127.0.0.1"}
                sys.argv = ["/rmaat/__main__.py", *given[1:]]
                change(rank)
                cli.run(rmaat.__main__.app)
            except SystemExit as end:
                sys.stderr.flush()
                os._exit(end.code)
            finally:
                os._exit(1)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return codes, [(tmp_path / f"err{rank}").read_text() for rank in range(len(words))]


def other_data(rank):
    """The second process has other samples under the same config, as a folder of another release would give."""
    from rmaat.tasks.recall import Recall
    split = Recall.split
    if rank:
        import dataclasses
        Recall.split = lambda self, name, data=None: split(dataclasses.replace(self, seed=self.seed + 1), name, data)


def one_token(rank):
    """The second process has the same samples but for one token of one sample, which no look at a few of them sees."""
    from rmaat.tasks.recall import Recall
    from rmaat.tasks.splits import ArraySplit
    split = Recall.split

    def held(self, name, data=None):
        import numpy as np
        batch = split(self, name).batch(np.arange(100))
        tokens = batch.tokens.numpy().astype(np.uint8)
        if rank and name == "train":
            tokens[98, 3] = (tokens[98, 3] + 1) % 8
        return ArraySplit(tokens, batch.labels.numpy())

    Recall.split = held


@pytest.mark.fault("B3")
@pytest.mark.slow
@pytest.mark.parametrize(("more", "change", "said"), [
    (["--set", "model.width=12", "--set", "train.learning_rate=.5", "--set", "train.seed=4"], lambda rank: None,
     ["model.width is 8 on process 0, 12 on process 1", "train.learning_rate is 0.002 on process 0, 0.5 on process 1",
      "train.seed is 0 on process 0, 4 on process 1"]),
    (["--record-sample", "3"], lambda rank: None, ["record is "]),
    ([], other_data, ["data.train is ", "data.test is "]),
    ([], one_token, ["data.train is "])], ids=["config", "record", "data", "one token"])
def test_processes_that_would_not_train_the_same(tmp_path, more, change, said):
    """Processes of one training have different configs, records or data.

    All exit with 2 before the first step; every process and field that differs is named, and no run is begun.
    """
    load("rmaat")
    words = [word for word in TRAIN if word != "--resume"]
    codes, told = together(tmp_path, words, [*words, *more], change=change)
    assert codes == [2, 2], told
    for text in said:
        assert text in told[0]
    assert told[0].count("error: ") == 1 and told[1].count("error: ") == 0 and "Traceback" not in told[0] + told[1]
    assert not list((tmp_path / "run").glob("*")) if (tmp_path / "run").exists() else True


@pytest.mark.fault("B4")
@pytest.mark.slow
def test_a_recording_read_while_it_is_replaced(tmp_path):
    """A recording is read while another process replaces it by another one, as quickly as it can.

    Every reading is one of the two, whole.
    """
    load("astro_sim")
    from astro_sim.recording.recording import Recording
    from astro_sim.run.simulation import simulate

    both = [simulate("li_rinzel", duration=f"{n} s", dt="20 ms") for n in (1, 2)]
    both[0].save(tmp_path / "x.nc")
    child = os.fork()
    if child == 0:
        try:
            for n in itertools.count():
                both[n % 2].save(tmp_path / "x.nc")
        finally:
            os._exit(1)
    try:
        seen = []
        while len(seen) < 40 or len(set(seen)) < 2:
            seen.append(Recording.load(tmp_path / "x.nc").content_hash)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert set(seen) == {one.content_hash for one in both}


@pytest.mark.fault("B5")
@pytest.mark.slow
def test_a_folder_that_is_moved_away(forked, tmp_path):
    """The folder of a training is moved away while it trains.

    Exit 4, and what to do: where the folder is now, the training goes on from its last checkpoint.
    """
    load("rmaat")
    from rmaat.training.steps import Trainer

    advance = Trainer.advance

    def moved(self, asked=lambda: False):
        if self.step == 5 and Path("run").exists():
            Path("run").rename("elsewhere")
        return advance(self, asked)

    def train():
        Trainer.advance = moved
        import rmaat.__main__
        sys.argv = ["/rmaat/__main__.py", *TRAIN[1:]]
        cli.run(rmaat.__main__.app)

    forked(function=train).refused(4, "run is no longer there: it was moved or removed", "--resume")
    assert not (tmp_path / "run").exists()
    forked(*["elsewhere" if word == "run" else word for word in TRAIN]).ok("at step 4 of 6")


@pytest.mark.fault("B6")
@pytest.mark.slow
def test_a_clock_that_jumps(forked, tmp_path):
    """The machine's clock jumps back and forth by days while a training runs.

    It has the same result: nothing is decided by the time of day.
    """
    load("rmaat")

    def train(folder, wild):
        def life():
            import time

            import rmaat.__main__
            if wild:
                jumps = itertools.cycle([10**9, 5, 2 * 10**9])
                time.time = lambda: next(jumps)
            sys.argv = ["/rmaat/__main__.py", *(folder if word == "run" else word for word in TRAIN[1:])]
            cli.run(rmaat.__main__.app)
        return life

    for folder, wild in (("calm", False), ("wild", True)):
        forked(function=train(folder, wild)).ok()
    calm, wild = ({path.name: path.read_bytes() for path in (tmp_path / name).glob("checkpoint*")}
                  for name in ("calm", "wild"))
    assert calm == wild and len(calm) == 4
    assert np.all([name in calm for name in wild])


@pytest.mark.fault("B7")
@pytest.mark.slow
def test_two_processes_that_would_make_the_same_data(tmp_path, monkeypatch):
    """Several processes need data that the cache lacks at the same moment, or the one that makes them is killed.

    One makes them and the other waits, so that they are made once; of a killed one the other takes over.
    """
    from rmaat.tasks.cache import cache_path, kept

    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "made"

    def begun(make):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                values = kept("numbers", [7], lambda: make(writing))["x"]
                code = 0 if values.tolist() == [3, 5, 8] else 1
            finally:
                os._exit(code)
        os.close(writing)
        return pid, reading

    def numbers(pipe):
        with open(made, "a", encoding="utf-8") as stream:
            stream.write(f"{os.getpid()}\n")
        os.write(pipe, b"x")
        return {"x": np.array([3, 5, 8])}

    def never(pipe):
        os.write(pipe, b"x")
        signal.pause()

    stopped, reading = begun(never)
    assert os.read(reading, 1) == b"x", "it makes them, and holds the lock"
    others = [begun(numbers)[0] for _ in range(3)]
    assert os.waitpid(-1, os.WNOHANG) == (0, 0) and not made.exists(), "they wait"
    os.kill(stopped, signal.SIGKILL)
    os.waitpid(stopped, 0)
    assert [os.waitpid(pid, 0)[1] for pid in others] == [0, 0, 0]
    assert len(made.read_text("utf-8").split()) == 1, "made once"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [cache_path("numbers", [7]).name]


BEGINS = {
    "a program": """
        import subprocess
        from foundation.process import ending_with_this
        subprocess.run([sys.executable, "slow.py"], preexec_fn=ending_with_this())
        """,
    "a page that follows a training": """
        from figures.report import live
        live.FOLLOWER[:] = [sys.executable, "slow.py"]
        with live.watched("run"):
            pass
        """,
    "a worker that makes data": """
        from rmaat.tasks.workers import in_programs
        list(in_programs("slow", [[]], workers=1))
        """}


@pytest.mark.fault("B9")
@pytest.mark.parametrize("begins", BEGINS)
def test_what_a_killed_process_had_begun(tmp_path, begins):
    """A process is killed that had begun others: compiled programs, workers, the page that follows its training.

    They end with it: nobody goes on writing, or computing, for somebody who is gone.
    """
    import subprocess
    import textwrap
    import time

    from foundation import process

    (tmp_path / "slow.py").write_text(
        "import os, time\nfrom rmaat.tasks.workers import answer\n"
        "with open('pid.part', 'w', encoding='utf-8') as stream:\n    stream.write(str(os.getpid()))\n"
        "os.rename('pid.part', 'pid')\nanswer(lambda *job: time.sleep(600))\ntime.sleep(600)\n", "utf-8")
    code = "import sys\nsys.path.insert(0, '.')\n" + textwrap.dedent(BEGINS[begins])
    first = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE,
                             env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    try:
        while not (tmp_path / "pid").exists():
            assert first.poll() is None, "it ended before it had begun anything"
            time.sleep(.05)
        other = int((tmp_path / "pid").read_text("utf-8"))
        assert process.started(other)
    finally:
        first.kill()
        first.wait()
    while process.started(other):
        time.sleep(.05)
