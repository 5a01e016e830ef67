"""Sweeps: files by content hash, going on after a stop, shards, failures that stay alone."""

import json
import os
import sys
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor

import numpy as np
import pytest

from astro_sim.__main__ import app
from astro_sim.brian import backend
from astro_sim.brian.backend import Standalone
from astro_sim.brian.left_open import LeftOpen
from astro_sim.brian.network import build
from astro_sim.brian.program import Program, what_differs
from astro_sim.model import Connection, Input, Model, Observable, Pairs, Population
from astro_sim.parameter import Parameter
from astro_sim.plan import prepare
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import simulate
from astro_sim.run.sweep_work import finished
from astro_sim.run.sweeps import grid, name_of, sweep
from foundation import cli
from foundation.errors import ResourceError, UserError

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


@pytest.mark.slow
def test_every_point_is_the_recording_that_simulate_gives(tmp_path):
    outcome = sweep(POINTS, tmp_path, executor=Here())
    assert (len(outcome.done), outcome.kept, outcome.failed) == (6, (), {})
    for point in POINTS:
        kept = Recording.load(tmp_path / f"{name_of(point)}.nc")
        wanted = simulate(point["model"], parameters=point["parameters"], duration="1 s", dt="20 ms")
        assert kept.content_hash == wanted.content_hash
        assert kept.hash == name_of(point)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_outcome_is_a_table_a_picture_and_frames(tmp_path):
    points = grid({"K_P": ["0.05 umolar", "0.1 umolar"], "input.ip3": ["0.3 umolar"]}, **COMMON)
    bad = {**COMMON, "duration": "60 s", "dt": "5 s", "method": "rk4"}
    outcome = sweep([*points, bad], tmp_path, executor=Here())
    assert [row["K_P"] for row in outcome.varied.values()] == ["0.05 umolar", "0.1 umolar", None]
    rows = outcome.table().rows
    assert [row[0] for row in rows] == [name_of(point)[:12] for point in (*points, bad)]
    assert rows[0][-1] == "done" and "too large" in rows[2][-1]
    assert "K_P" in outcome._repr_html_() and repr(outcome) == "<Outcome of a sweep: 2 done, 0 were there, 1 failed>"
    frame, (first, second) = outcome.to_pandas(), (recording for _, recording in outcome.recordings())
    assert frame["K_P"].tolist() == [0.05, 0.1] and frame.attrs["units"]["K_P"] == "umolar"
    assert frame["C.highest"].tolist() == [one["C"].values.max() for one in (first, second)]
    data = outcome.to_xarray()
    assert data["C"].dims == ("point", "time", "astrocyte") and data["K_P"].values.tolist() == [0.05, 0.1]
    assert np.array_equal(data["C"].values[1], second["C"].values)
    panel, = outcome.plot("h").axes
    assert [line.get_ydata().tolist() for line in panel.get_lines()] == [one["h"].values[:, 0].tolist()
                                                                       for one in (first, second)]
    assert panel.get_ylabel() == first["h"].long_name
    assert "K_P = 0.05 umolar" in panel.get_legend().get_texts()[0].get_text()


@pytest.mark.slow
def test_an_outcome_says_what_cannot_be_put_side_by_side(tmp_path):
    outcome = sweep([COMMON, {**COMMON, "duration": "2 s"}], tmp_path, executor=Here())
    with pytest.raises(UserError, match="other times or elements"):
        outcome.to_xarray()
    nothing = sweep([{**COMMON, "duration": "60 s", "dt": "5 s", "method": "rk4"}], tmp_path / "bad", executor=Here())
    for use in (nothing.plot, nothing.to_xarray):
        with pytest.raises(UserError, match="no point was recorded"):
            use()


@pytest.mark.slow
def test_shards_are_all_of_it_and_disjoint(tmp_path):
    made = [set(sweep(POINTS, tmp_path / str(n), executor=Here(), shard=f"{n}/3").done) for n in (1, 2, 3)]
    names = [{path.name for path in paths} for paths in made]
    assert sum(map(len, names)) == 6
    assert set.union(*names) == {f"{name_of(point)}.nc" for point in POINTS}


@pytest.mark.slow
def test_a_point_that_fails_is_recorded_and_the_rest_runs(tmp_path):
    bad = {**COMMON, "duration": "60 s", "dt": "5 s", "method": "rk4"}  # too large a step: found after the run
    outcome = sweep([*POINTS[:2], bad], tmp_path, executor=Here())
    assert len(outcome.done) == 2
    assert list(outcome.failed) == [name_of(bad)]
    kept = json.loads((tmp_path / f"{name_of(bad)}.error.json").read_text("utf-8"))
    assert "too large" in kept["error"]
    assert kept["meta"]["solver"]["dt_s"] == 5.0
    assert list(sweep([bad], tmp_path, executor=Here()).failed) == [name_of(bad)], "tried again, not taken as done"


NOISY_PAIR = Model(
    name="noisy_pair", summary="two cells that feel each other, with noise",
    populations=(Population("cell", "", "dv/dt = (u - g*v + total)/tau + s*tau**-0.5*xi : 1\ntotal : 1", lambda o: 2),),
    parameter_sets={"one": {"tau": Parameter(0.1, "second", "time constant", "Mia2026", "assumed"),
                            "s": Parameter(0.2, "1", "noise", "Mia2026", "assumed"),
                            "g": Parameter(0.3, "1", "decay, and strength of each pair", "Mia2026", "assumed")}},
    initial={"v": Parameter(0.1, "1", "start", "Mia2026", "assumed", "any")},
    inputs={"u": Input("cell", "u", "1", 0.0, "drive")},
    observables={"v": Observable("cell", "1", "state", -100, 100)},
    # g is in both groups, and in what is computed once before the run
    connections=(Connection("swap", "cell", "cell", "", "total_post = g*w*v_pre : 1 (summed)\nw : 1 (constant)",
                            lambda o: Pairs([0, 1], [1, 0]), fixed={"w": "2*g"}),),
    method="heun",
)


@pytest.mark.slow
def test_one_program_runs_all_points_of_a_sweep(tmp_path, monkeypatch):
    """Parameters, initial values, inputs with and without edges, and the seed, against a NumPy run of each point."""
    common = {"model": NOISY_PAIR, "duration": "0.5 s", "dt": "10 ms", "backend": "cpp"}
    points = grid({"g": ["0.3", "0.7"], "input.u": ["0.5"], "seed": ["1", "2"]}, **common)
    course = "square:input=u,high=1,start=0.1s,stop=0.2s,elements=1"
    points += [{**common, "protocol": course, "initial": {"v": [0, 1]}},
               {**common, "parameters": {"tau": "1 ms"}}]  # too stiff for the step: found after the run
    compiled, start = [], Standalone.compile
    monkeypatch.setattr(Standalone, "compile", lambda self: compiled.append(self) or start(self))
    monkeypatch.chdir(tmp_path.parent)
    outcome = sweep(points, tmp_path.name, executor=Here())  # a folder as it is given on a command line
    assert len(compiled) == 1
    assert len(outcome.done) == 5
    assert "too large" in outcome.failed[name_of(points[-1])]
    for point in points[:-1]:
        kept, wanted = Recording.load(tmp_path / f"{name_of(point)}.nc"), simulate(**{**point, "backend": "numpy"})
        # the same operations, rounded differently where the compiler orders them otherwise
        assert np.abs(kept["v"].values - wanted["v"].values).max() <= 1e-12 * np.abs(wanted["v"].values).max()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".json"] + 5 * [".nc"]
    assert sweep(points[:2], tmp_path, executor=Here()).kept
    assert len(compiled) == 1


def test_a_program_makes_the_steps_of_the_plan_and_no_others():
    """The group of open parameters once ran on Brian2's clock of 0.1 ms: a hundred rounds a step of 10 ms."""
    plans = [prepare(**point) for point in grid({"g": ["0.3", "0.7"]}, model=NOISY_PAIR, backend="cpp")]
    with backend.opened("cpp", 0):
        network = build(plans[0], what_differs(plans)).network
        assert {thing.clock.name for thing in network.sorted_objects} == {"clock_step"}


def test_a_program_reads_no_clock_in_its_loop(tmp_path):
    """Brian2 does after every step; the loop is looked for in what Brian2 writes, and must be found."""
    import brian2

    plan = prepare(model=NOISY_PAIR, backend="cpp", duration="1 s")
    with backend.opened("cpp", 0, str(tmp_path)):
        build(plan).network.run(1 * brian2.second, namespace={})
        brian2.device.build(directory=str(tmp_path), compile=False, run=False)
    written = (tmp_path / "network.cpp").read_text("utf-8")
    changed = backend.without_clock(written)
    assert sorted(changed.splitlines()) == sorted(written.splitlines())  # moved, nothing lost
    assert f"\n    }}\n{backend.TIMING}{backend.AFTER_THE_LOOP}" in changed  # behind the brace that ends the loop
    assert f"\n    }}\n{backend.TIMING}" not in written
    assert backend.without_clock("while (true) { std::clock(); }") == "while (true) { std::clock(); }"


@pytest.mark.parametrize(("script", "says"), [
    ("exit 3", "ended with 3"),
    ("echo 'Error reading value_1' >&2", "Error reading"),  # what Brian2 does: it goes on, and ends with 0
    ("printf '\\7\\0\\0\\0\\0\\0\\0\\0tenbytes..' > $2records", "7 numbers were to be read, 1 were there")])
def test_a_program_that_fails_says_so(tmp_path, script, says):
    (tmp_path / "main").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "main").chmod(0o755)
    with pytest.raises(ResourceError, match=says):
        Program(tmp_path, LeftOpen(), {"cell": ("v",)}, ()).run(prepare(model=NOISY_PAIR, backend="cpp"))


def test_too_many_programs_say_what_one_can_vary(tmp_path):
    points = [{**COMMON, "backend": "cpp", "duration": f"{n} s"} for n in range(1, 25)]
    with pytest.raises(UserError, match=r"24 programs, above 20; in one program parameters .*, initial values, inputs"):
        sweep(points, tmp_path)


@pytest.mark.slow
def test_a_program_that_does_not_compile_fails_its_points_alone(tmp_path, monkeypatch):
    def broken(self):
        raise ResourceError("no compiler")

    monkeypatch.setattr(Standalone, "compile", broken)
    outcome = sweep([POINTS[0], {**POINTS[1], "backend": "cpp"}], tmp_path, executor=Here())
    assert len(outcome.done) == 1
    assert list(outcome.failed.values()) == ["ResourceError: no compiler"]


@pytest.mark.slow
def test_seeds_initial_values_and_inputs_are_varied(tmp_path):
    points = grid({"seed": ["3"], "initial.C": ["0.2 umolar"], "input.ip3": ["0.4 umolar"]}, **COMMON)
    made = Recording.load(sweep(points, tmp_path, executor=Here()).done[0])
    wanted = simulate("li_rinzel", "constant:input=ip3,value=0.4 umolar", initial={"C": "0.2 umolar"}, seed=3,
                      duration="1 s", dt="20 ms")
    assert made.content_hash == wanted.content_hash
    with pytest.raises(UserError, match="unknown kind of value to vary 'inital'"):
        grid({"inital.C": ["1"]}, **COMMON)


@pytest.mark.slow
def test_shards_at_once_share_a_folder_and_a_second_sweep_of_a_shard_is_refused(tmp_path):
    """Threads in one process, each sweep in the other's way: every point whole, nothing left over."""
    with ThreadPoolExecutor(2) as two, ThreadPoolExecutor(2) as one_pool, ThreadPoolExecutor(2) as other:
        several = [two.submit(sweep, POINTS[:4], tmp_path, executor=pool, shard=shard)
                   for pool, shard in ((one_pool, "1/2"), (other, "2/2"))]
        outcomes = [one.result() for one in several]
    names = {f"{name_of(point)}.nc" for point in POINTS[:4]}
    assert not outcomes[0].failed | outcomes[1].failed
    assert {path.name for outcome in outcomes for path in outcome.done} == names
    indices = {f"index.{n}-of-2.csv" for n, outcome in zip("12", outcomes, strict=True) if outcome.points}
    assert {path.name for path in tmp_path.iterdir()} == names | indices
    assert all(Recording.load(tmp_path / name) for name in names)
    (tmp_path / f"{name_of(POINTS[0])}.nc").unlink()

    class Busy(Here):
        def submit(self, function, *given):
            with pytest.raises(ResourceError, match=rf"written by process {os.getpid()} on .* \(sweep"):
                sweep(POINTS[:1], tmp_path, executor=Here())
            return super().submit(function, *given)

    busy = Busy()
    assert len(sweep(POINTS[:1], tmp_path, executor=busy).done) == busy.submitted == 1


@pytest.mark.slow
def test_a_stopped_sweep_says_what_is_there(tmp_path, capsys):
    class Stopped(Here):
        def submit(self, function, *given):
            future = super().submit(function, *given)
            if self.submitted == 2:
                future = Future()
                future.set_exception(KeyboardInterrupt())
            return future

    with pytest.raises(KeyboardInterrupt):
        sweep(POINTS[:3], tmp_path, executor=Stopped(), workers=1)
    assert "points are not simulated yet; the others are kept in" in capsys.readouterr().err
    rows = (tmp_path / "index.csv").read_text().splitlines()[1:]
    assert len(rows) == 3 and any("stopped before it was simulated" in row for row in rows)
    assert not sweep(POINTS[:3], tmp_path, executor=Here()).failed
    assert "stopped" not in (tmp_path / "index.csv").read_text()


def test_a_process_that_dies_takes_no_other_point_along():
    """Each piece of work is a function and its arguments; here one of three ends the process that runs it."""
    work = {"first": (len, "12"), "deadly": (os._exit, 3), "last": (len, "123")}
    ended = dict(finished(work, None, 1))
    assert isinstance(ended.pop("deadly").exception(), BrokenExecutor)
    assert {name: future.result() for name, future in ended.items()} == {"first": 2, "last": 3}


@pytest.mark.slow
def test_a_dask_cluster_of_two_workers(tmp_path):
    distributed = pytest.importorskip("distributed")
    with (distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
          distributed.Client(cluster) as client):
        bad = {**COMMON, "duration": "60 s", "dt": "5 s", "method": "rk4"}
        outcome = sweep([*POINTS[:3], bad], tmp_path, executor=client.get_executor(pure=False))
    assert {path.name for path in outcome.done} == {f"{name_of(point)}.nc" for point in POINTS[:3]}
    assert list(outcome.failed) == [name_of(bad)]
    for path in outcome.done:
        assert f"{Recording.load(path).hash}.nc" == path.name


@pytest.mark.slow
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


@pytest.mark.slow
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
