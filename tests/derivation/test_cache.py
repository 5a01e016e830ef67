"""Kept simulations: equal to those made anew, told apart by everything that decides them, redone when damaged."""

import numpy as np
import pytest

from derivation.simulation import cache
from derivation.simulation.cache import NotKept

RUN = ("li_rinzel:AM", "constant:input=ip3,value=0.5 umolar")


def simulate(folder, **changes):
    with cache.kept_in(folder):
        return cache.simulate(*RUN, **{"duration": "0.2 s", "dt": "10 ms"} | changes)


def counted(monkeypatch):
    """How often the simulator itself runs."""
    runs = []
    original = cache.run
    monkeypatch.setattr(cache, "run", lambda plan: (runs.append(plan), original(plan))[1])
    return runs


@pytest.mark.slow
def test_a_kept_recording_is_the_one_made_anew(tmp_path, monkeypatch):
    runs = counted(monkeypatch)
    first, again, without = simulate(tmp_path), simulate(tmp_path), simulate(None)
    assert len(runs) == 2 and len(list(tmp_path.iterdir())) == 1
    assert first.content_hash == again.content_hash == without.content_hash
    np.testing.assert_array_equal(again["C"].values, without["C"].values)


@pytest.mark.slow
@pytest.mark.parametrize("change", [
    {"dt": "5 ms"}, {"duration": "0.3 s"}, {"parameters": {"O_P": "1 umolar/second"}}, {"method": "euler"}, {"seed": 3},
    {"parameter_set": None, "initial": {"C": "0.2 umolar"}}, {"record_every": "20 ms"}], ids=str)
def test_whatever_decides_the_result_is_in_the_key(change, tmp_path, monkeypatch):
    runs = counted(monkeypatch)
    simulate(tmp_path)
    simulate(tmp_path, **change)
    assert len(runs) == 2 and len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_another_simulator_keeps_its_own(tmp_path, monkeypatch):
    runs = counted(monkeypatch)
    simulate(tmp_path)
    monkeypatch.setattr(cache, "_simulator", lambda: "another")
    simulate(tmp_path)
    assert len(runs) == 2


DAMAGES = {"cut": lambda data: data[:len(data) // 2], "empty": lambda data: b"", "other": lambda data: b"no recording",
           "bent": lambda data: data.replace(b"umolar", b"nmolar")}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_recording_is_made_anew(damage, tmp_path, monkeypatch):
    runs = counted(monkeypatch)
    whole = simulate(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert simulate(tmp_path).content_hash == whole.content_hash
    assert len(runs) == 2
    simulate(tmp_path)
    assert len(runs) == 2, "and it is kept again"


@pytest.mark.slow
def test_a_recording_under_anothers_name_is_not_taken(tmp_path, monkeypatch):
    runs = counted(monkeypatch)
    simulate(tmp_path)
    (other,) = tmp_path.iterdir()
    plan = runs[0]
    simulate(tmp_path, seed=7)
    wanted = tmp_path / f"{cache.key(runs[1])}.nc"
    wanted.write_bytes(other.read_bytes())
    assert simulate(tmp_path, seed=7).meta["seed"] == 7 != plan.seed
    assert len(runs) == 3


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(NotKept, match="was not kept: cannot write"):
        assert simulate(blocked / "kept").time[-1] > 0
