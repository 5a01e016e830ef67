"""Pickles are read by an interpreter of our own: it agrees with Python's where arrays are meant, and runs nothing."""

import io
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import array_shapes, arrays

from foundation.errors import UserError
from rmaat.tasks.pickled_arrays import read_pickled

NUMBERS = strategies.sampled_from(["u1", "i1", "<u2", ">i4", "<i8", "<f4", ">f8", "?"])
ARRAYS = NUMBERS.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=1, max_dims=3, max_side=4)))
LEAVES = ARRAYS | strategies.integers() | strategies.text() | strategies.binary() | strategies.booleans() | \
    strategies.none() | strategies.floats(allow_nan=False)
HELD = strategies.dictionaries(strategies.text() | strategies.binary(), LEAVES | strategies.lists(LEAVES) |
                               strategies.tuples(LEAVES, LEAVES))


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.slow
@settings(max_examples=40)
@given(HELD, strategies.integers(0, pickle.HIGHEST_PROTOCOL))
def test_what_python_pickles_is_read_as_python_would(held, protocol):
    assert same(read_pickled(pickle.dumps(held, protocol), "a file"), held)


def test_fortran_order_and_what_occurs_twice():
    array = np.asfortranarray(np.arange(12).reshape(3, 4))
    found = read_pickled(pickle.dumps({"a": array, "b": [array, array]}, 2), "a file")
    assert same(found["a"], array) and found["a"] is found["b"][0] is found["b"][1]


# as Python 2 wrote the release: texts are bytes, protocol 2
PYTHON_2 = (b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x01xq\x03U\x06labelsq\x04]q\x05(K\x06K\x09eU\x04dataq\x06"
            b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01K\x02K\x03"
            b"\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            b"\x89T\x06\x00\x00\x00\x00\x01\x02\xfd\xfe\xfftbu.")


def test_a_pickle_of_python_2_has_bytes():
    found = read_pickled(PYTHON_2, "a file")
    assert found[b"labels"] == [6, 9] and found[b"batch_label"] == b"x"
    assert same(found[b"data"], np.array([[0, 1, 2], [253, 254, 255]], np.uint8))
    assert same(found[b"data"], pickle.loads(PYTHON_2, encoding="bytes")[b"data"])


class Hostile:
    """Runs what it is told when Python unpickles it."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def hostile(path: Path):
    """Objects that make the file `path` when they are unpickled."""
    command = f"touch {path}"
    yield Hostile(os.system, command)
    yield Hostile(subprocess.check_call, ["touch", str(path)])
    yield Hostile(eval, f"open({str(path)!r}, 'w')")
    yield Hostile(exec, f"open({str(path)!r}, 'w')")
    yield Hostile(io.open, str(path), "w")
    yield {"data": np.zeros(3, np.uint8), "labels": [Hostile(os.system, command)]}
    yield np.array([Hostile(os.system, command)], dtype=object)
    yield {Hostile(os.system, command): 1}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_runs_nothing(tmp_path, protocol):
    canary = tmp_path / "canary"
    seen = 0
    for thing in hostile(canary):
        content = pickle.dumps(thing, protocol)
        with pytest.raises(UserError) as raised:
            read_pickled(content, "cifar-10-batches-py/data_batch_1")
        assert "cifar-10-batches-py/data_batch_1" in str(raised.value) and not canary.exists()
        seen += 1
    pickle.loads(pickle.dumps(next(hostile(canary)), protocol))  # the same file does run where Python reads it
    assert seen == 8 and canary.exists()


@pytest.mark.parametrize("content", [
    b"cos\nsystem\n(S'touch canary'\ntR.",  # by hand, the oldest form
    b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch canary\x85R.",
    b"(ios\nsystem\n.", b"\x80\x02cnumpy\nload\nU\x01x\x85R.", b"\x80\x02cnumpy\nndarray\n)\x81.",
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.", b"\x80\x02\x82\x01.", b"Pname\n.",
    b"\x80\x02cnumpy\ndtype\nU\x01O\x85R."])
def test_what_is_no_array_is_refused(content):
    with pytest.raises(UserError):
        read_pickled(content, "a file")


def test_a_laugh_that_doubles_is_harmless():
    """Thirty lists, each twice the one before: 2**30 leaves if they were written out."""
    content = b"\x80\x02]q\x00K\x01a" + b"".join(b"]q%ch%ch%c\x86a" % (i, i - 1, i - 1) for i in range(1, 30)) + b"."
    read_pickled(content, "a file")


@pytest.mark.slow
@settings(max_examples=40)
@given(strategies.data())
def test_a_damaged_pickle_is_an_error_with_words_or_still_a_pickle(data):
    content = bytearray(PYTHON_2)
    for _ in range(data.draw(strategies.integers(1, 3))):
        content[data.draw(strategies.integers(0, len(content) - 1))] = data.draw(strategies.integers(0, 255))
    content = content[:data.draw(strategies.integers(0, len(content)))]
    try:
        read_pickled(bytes(content), "a file")
    except UserError as error:
        assert str(error).startswith("a file")
