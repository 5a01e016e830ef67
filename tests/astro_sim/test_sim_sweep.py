"""Sweeps: files by content hash, going on after a stop, shards, failures that stay alone."""

import json
import sys
from concurrent.futures import Future

import pytest

from astro_sim.__main__ import app
from astro_sim.recording import Recording
from astro_sim.simulate import simulate
from astro_sim.sweep import grid, name_of, sweep
from foundation import cli
from foundation.errors import UserError

COMMON = {"model": "li_rinzel", "duration": "1 s", "dt": "20 ms"}
POINTS = grid({"K_P": ["0.05 umolar", "0.08 umolar", "0.1 umolar"],
               "O_2": ["0.2 1/umolar/second", "0.3 1/umolar/second"]}, **COMMON)


class Here:
    """An executor of concurrent.futures' kind that works in this process and counts."""

    def __init__(self):
        self.submitted = 0

    def submit(self, function, *given):
        self.submitted += 1
        future = Future()
        try:
            future.set_result(function(*given))
        except Exception as error:
            future.set_exception(error)
        return future


def test_every_point_is_the_recording_that_simulate_gives(tmp_path):
    outcome = sweep(POINTS, tmp_path, executor=Here())
    assert (len(outcome.done), outcome.kept, outcome.failed) == (6, (), {})
    for point in POINTS:
        kept = Recording.load(tmp_path / f"{name_of(point)}.nc")
        wanted = simulate(point["model"], parameters=point["parameters"], duration="1 s", dt="20 ms")
        assert kept.content_hash == wanted.content_hash
        assert kept.hash == name_of(point)


def test_a_stopped_sweep_goes_on_and_damage_is_made_good(tmp_path):
    first = sweep(POINTS[:2], tmp_path, executor=Here())
    whole = first.done[0]
    first.done[1].write_bytes(first.done[1].read_bytes()[:200])  # cut off, as by a full disk
    before, again = whole.read_bytes(), Here()
    second = sweep(POINTS, tmp_path, executor=again)
    assert again.submitted == 5
    assert second.kept == (whole,)
    assert whole.read_bytes() == before
    assert Recording.load(first.done[1])
    third = Here()
    assert len(sweep(POINTS, tmp_path, executor=third).kept) == 6
    assert third.submitted == 0


def test_shards_are_all_of_it_and_disjoint(tmp_path):
    made = [set(sweep(POINTS, tmp_path / str(n), executor=Here(), shard=f"{n}/3").done) for n in (1, 2, 3)]
    names = [{path.name for path in paths} for paths in made]
    assert sum(map(len, names)) == 6
    assert set.union(*names) == {f"{name_of(point)}.nc" for point in POINTS}


def test_a_point_that_fails_is_recorded_and_the_rest_runs(tmp_path):
    bad = {**COMMON, "duration": "60 s", "dt": "5 s"}  # too large a step: found after the run
    outcome = sweep([*POINTS[:2], bad], tmp_path, executor=Here())
    assert len(outcome.done) == 2
    assert list(outcome.failed) == [name_of(bad)]
    kept = json.loads((tmp_path / f"{name_of(bad)}.error.json").read_text("utf-8"))
    assert "too large" in kept["error"]
    assert kept["meta"]["solver"]["dt_s"] == 5.0
    assert list(sweep([bad], tmp_path, executor=Here()).failed) == [name_of(bad)], "tried again, not taken as done"


def test_local_processes(tmp_path):
    outcome = sweep(POINTS[:3], tmp_path, workers=1)
    assert len(outcome.done) == 3
    assert {Recording.load(path).parameter("K_P") for path in outcome.done} == {0.05, 0.08}


@pytest.mark.parametrize(("given", "says"), [
    ({"shard": "3/2"}, "shard: '3/2' is not allowed"), ({"shard": "x"}, "shard: 'x'"), ({"workers": 0}, "workers: 0")])
def test_bad_input_is_refused(tmp_path, given, says):
    with pytest.raises(UserError, match=says):
        sweep(POINTS, tmp_path, **given)
    with pytest.raises(UserError, match="K_P"):
        sweep([*POINTS, {**COMMON, "parameters": {"K_P": "-1 umolar"}}], tmp_path, executor=Here())
    with pytest.raises(UserError, match="K_P: no value"):
        grid({"K_P": []}, **COMMON)
    assert not list(tmp_path.iterdir()), "checked before the first point runs"


def test_the_verb(tmp_path, monkeypatch, capsys):
    words = ["astro_sim", "sweep", "li_rinzel", "--vary", "K_P=0.05 umolar, 0.08 umolar", "--duration", "1 s", "--dt",
             "20 ms", "--out", str(tmp_path / "s"), "--workers", "1", "--json"]
    seen = []
    for shard in ("1/2", "2/2", "1/1"):
        monkeypatch.setattr(sys, "argv", [*words, "--shard", shard])
        with pytest.raises(SystemExit) as end:
            cli.run(app)
        assert not end.value.code
        seen.append(json.loads(capsys.readouterr().out))
    assert len(seen[0]["done"]) + len(seen[1]["done"]) == 2
    assert (seen[2]["done"], len(seen[2]["kept"]), seen[2]["failed"]) == ([], 2, {})
