"""The cache of made data: the same arrays again, damage noticed, an unwritable place survived."""

import stat
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import UserError
from rmaat.tasks.cache import CacheNote, cache_path, kept, store, stored

ARRAYS = {"tokens": np.arange(21, dtype=np.uint8).reshape(7, 3), "labels": np.arange(7), "none": np.empty((0, 4), "u1"),
          "value": np.float32(2.5).reshape(1), "offsets": np.arange(5, dtype=np.int32)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("ASTRO_RMAAT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "astro-rmaat"


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one)


def test_what_was_made_once_is_not_made_again(own_cache):
    calls = []
    for _ in range(3):
        assert same(kept("toy", {"size": 7}, lambda: calls.append(1) or ARRAYS), ARRAYS)
    assert calls == [1]
    (path,) = own_cache.iterdir()
    assert path.name.startswith("toy-") and path == cache_path("toy", {"size": 7})
    from safetensors.numpy import load_file  # the files are plain safetensors, as another reader sees them
    assert same(load_file(path), ARRAYS)


def test_parameters_and_names_do_not_share_a_file(own_cache):
    cases = [("a", 1), ("a", 2), ("b", 1), ("a/b", 1), ("a", "1"), ("a", [1])]
    for k, (name, parameters) in enumerate(cases):
        store(name, parameters, {"x": np.array([k])})
    assert [int(stored(name, parameters)["x"][0]) for name, parameters in cases] == list(range(6))


def test_a_file_put_in_another_ones_place_is_not_taken(own_cache):
    kept("toy", 1, lambda: ARRAYS)
    cache_path("toy", 1).rename(cache_path("toy", 2))
    with pytest.warns(CacheNote, match="does not match its SHA-256"):
        assert stored("toy", 2) is None


def test_arrays_from_the_cache_cannot_be_written_to():
    kept("toy", 1, lambda: ARRAYS)
    with pytest.raises(ValueError, match="read-only"):
        kept("toy", 1, dict)["tokens"][0] = 1


def test_a_failure_of_the_maker_is_its_own_and_leaves_nothing(own_cache):
    def fails():
        raise UserError("no such tree")

    with pytest.raises(UserError, match="no such tree"):
        kept("toy", 1, fails)
    assert not own_cache.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.booleans())
def test_any_flipped_bit_and_any_cut_is_noticed(place, bit, cut):
    store("toy", 1, ARRAYS)
    path = cache_path("toy", 1)
    whole = path.read_bytes()
    place %= len(whole)
    path.write_bytes(whole[:place] if cut else
                     whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1:])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = stored("toy", 1)
    if found is None:
        assert [one.category for one in said] == [CacheNote] and "is damaged" in str(said[0].message)
    else:  # a blank after the header's JSON that became a tab or a line's end is no damage
        assert same(found, ARRAYS)
    store("toy", 1, ARRAYS)
    assert same(stored("toy", 1), ARRAYS)


@pytest.mark.parametrize("header", [
    b"[]", b"{}", b"nonsense", b'{"__metadata__": 3}', b"[" * 5_000,
    b'{"__metadata__": {"sha256": ""}, "x": {"dtype": "U8", "shape": [1e400], "data_offsets": [0, 1]}}',
    b'{"__metadata__": {"sha256": ""}, "x": {"dtype": "U8", "shape": [9223372036854775808, 0], "data_offsets": [0,0]}}',
    b'{"__metadata__": {"sha256": ""}, "x": {"dtype": "U8", "shape": [-1, -1], "data_offsets": [0, 1]}}',
    b'{"__metadata__": {"sha256": ""}, "x": {"dtype": "I64", "shape": "ab", "data_offsets": [0, 8]}}'])
def test_hostile_headers_are_damage_and_nothing_else(own_cache, header):
    own_cache.mkdir()
    cache_path("toy", 1).write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 16)
    with pytest.warns(CacheNote, match="is damaged"):
        assert stored("toy", 1) is None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(CacheNote, match="toy: not cached"):
        assert same(kept("toy", 1, lambda: ARRAYS), ARRAYS)


def test_a_folder_in_the_place_of_the_file_is_said(own_cache):
    cache_path("toy", 1).mkdir(parents=True)
    with pytest.warns(CacheNote, match="toy: not cached"):
        assert same(kept("toy", 1, lambda: ARRAYS), ARRAYS)
    assert stat.S_ISDIR(cache_path("toy", 1).stat().st_mode)
