"""What is small to write and large to hold: refused with an estimate before anything is allocated."""

import gzip
import struct

import pytest

from foundation.errors import DamagedFileError, ResourceError, UserError
from foundation.reading import read_bytes

LITTLE = 1 << 30  # bytes that a program may take besides what it has loaded


@pytest.mark.fault("A4")
@pytest.mark.parametrize(("words", "code", "says"), [
    (("rmaat", "inspect", "--set", "model.layers=1000000000"), 4, "layers = 1000000000"),
    (("rmaat", "inspect", "--set", "model.width=10000000"), 4, "TB of memory"),
    (("rmaat", "inspect", "--set", "model.segment_length=9000000000000000"), 4, "may be used"),
    (("rmaat", "inspect", "--set", "task.train=1000000000000"), 4, "task.train = 1000000000000"),
    (("rmaat", "train", "listops", "--out", "run", "--set", "task.train=2000000000"), 4, "TB of memory"),
    (("rmaat", "train", "recall", "--out", "run", "--set", "train.batch_size=1000000000000"), 4,
     "train.batch_size = 1000000000000: a batch of 1,000,000,000,000 samples of 128 tokens: needs at least"),
    (("rmaat", "train", "listops", "--out", "run", "--variant", "gru", "--set", "train.batch_size=1000000000"), 4,
     "TB of memory"),
    (("rmaat", "train", "recall", "--out", "run", "--set", "train.checkpoint_every=1000000000000000"), 2, "at most"),
    (("rmaat", "data", "show", "listops", "--set", "task.train=1000000000000"), 4, "TB of memory"),
    (("rmaat", "inspect", "--samples", "1000000000", "--set", "task.validation=1000000"), 4, "GB of memory"),
    (("rmaat", "benchmark", "memory", "--batch", "1000000000000"), 4, "TB of memory"),
    (("rmaat", "benchmark", "attention", "--lengths", "1000000000000"), 4, "TB of memory"),
    (("rmaat", "benchmark", "attention", "--width", "100000"), 4, "bytes were asked for at once"),
    (("rmaat", "benchmark", "speed", "--threads", "1000000000000"), 2, "1024"),
    (("rmaat", "benchmark", "speed", "--repeats", "1000000000000"), 2, "10000"),
    (("astro_sim", "run", "li_rinzel", "--duration", "1e9s", "--dt", "1us"), 2, "steps"),
    (("astro_sim", "run", "astrocyte_network", "--option", "size=1000000000"), 2, "size"),
    (("astro_sim", "run", "li_rinzel", "--protocol", "constant:input=ip3,value=1uM,elements="
      + "+".join(["0-9999999"] * 30)), 2, "300,000,000 are named"),
    (("astro_sim", "run", "li_rinzel", "--protocol", "cycles:input=ip3,high=1uM,period=1ms,count=1e15"), 2, "count"),
    (("astro_sim", "scan", "li_rinzel", "--over", "ip3=0:1:1000000000000"), 2, "POINTS"),
    (("astro_sim", "benchmark", "--sizes", "10", "--repetitions", "1000000000000"), 2, "1 to 1000 repetitions"),
])
def test_what_would_fill_the_memory(forked, words, code, says):
    """A few letters ask for more than the machine has: layers, samples, batches, cells, steps, elements, points.

    Exit 4 with the estimate and what is free, or 2 with what is allowed, before anything is allocated.
    """
    forked(*words, memory=LITTLE, seconds=30).refused(code, says)


def bomb(path, sizes):
    """A gzipped IDX file of zeros that is a thousand times as large as it looks."""
    with gzip.open(path, "wb") as stream:
        stream.write(b"\0\0\x08" + bytes([len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes))
        for _ in range(100):
            stream.write(bytes(1 << 20))
    return path


@pytest.mark.fault("A8")
def test_a_compressed_file_is_not_unpacked_beyond_what_it_may_hold(tmp_path):
    """A gzip file of 1 MB that unpacks to gigabytes, or whose header declares them.

    Exit 3: no more is unpacked than the header gives, and no header may give more than such data have.
    """
    from rmaat.tasks.fashion import MAX_VALUES, read_idx

    for sizes, says in (([10, 28, 28], "7840 values where"), ([2**32 - 1] * 3, "the header gives"),
                        ([1300, 1024, 1024], "the header gives"), ([2**31], "the header gives")):
        bomb(tmp_path / "bomb.gz", sizes)
        with pytest.raises(DamagedFileError, match=says):
            read_idx(tmp_path, "bomb.gz")
    assert MAX_VALUES >= 60_000 * 28 * 28


@pytest.mark.parametrize("given", ["0-9999999+0-9999999", range(10**9), "+".join(["1-900000"] * 2)])
def test_elements_are_counted_before_they_are_made(given):
    from astro_sim.protocols.text import chosen_elements

    with pytest.raises(UserError, match="are named"):
        chosen_elements(given)


def test_cells_of_a_model_of_ones_own_are_counted_before_they_are_made():
    from dataclasses import replace

    from astro_sim import MODELS, simulate
    from astro_sim.model import Population

    known = MODELS["li_rinzel"]
    cell = replace(known.populations[0], size=lambda options: 10**9)
    assert isinstance(cell, Population)
    with pytest.raises(ResourceError, match="1000000000 elements"):
        simulate(replace(known, name="many", populations=(cell,)), duration="1 s")


def test_starts_of_a_fit_are_counted_before_they_are_drawn():
    from astro_sim.run.fitting.data_fit import _starts

    with pytest.raises(UserError, match="starts: 1000000000000 is not allowed; give 1 to 100,000"):
        _starts([None], 10**12, seed=0)


def test_a_batch_that_is_larger_than_the_data_is_told(forked):
    """It takes all samples, as ever; what was asked for is not what is done, so a note says so."""
    few = [part for setting in ("task.train=7", "task.validation=3", "task.test=3", "train.steps=1", "train.warmup=1")
           for part in ("--set", setting)]
    note = "note: train.batch_size = 64: there are 7 training samples, and every step takes all of them"
    forked("rmaat", "train", "recall", "--out", "run", "--device", "cpu", *few).ok(note)


def test_a_limit_of_the_process_is_a_limit_of_what_may_be_used(forked):
    """`ulimit -v`: an estimate is held against what it leaves, not against what the machine has."""
    forked("rmaat", "inspect", "--set", "model.width=3000", memory=LITTLE // 4).refused(4, "MB may be used")


def test_a_reader_takes_memory_for_what_is_there(tmp_path):
    """Not for all that may be there: a small file of which gigabytes are allowed, and one that tells no size."""
    import tracemalloc

    (tmp_path / "small").write_bytes(b"12345")
    tracemalloc.start()
    assert read_bytes(tmp_path / "small", "file", LITTLE) == b"12345"
    assert read_bytes("/proc/self/status", "file", LITTLE).startswith(b"Name:")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 << 20
