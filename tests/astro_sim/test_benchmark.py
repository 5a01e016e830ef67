"""The benchmark: what it compares is the same, what it fits is known, and nothing is timed on a wrong result."""

import itertools
import json
import sys

import numpy as np
import pytest

from astro_sim.__main__ import app
from astro_sim.benchmark import lsoda, step_cost
from astro_sim.benchmark import report as benchmark
from astro_sim.run.simulation import run
from astro_sim.show.verbs.benchmark import KIND
from foundation import cli, sealed
from foundation.errors import UserError


@pytest.mark.slow
def test_bare_brian2_computes_the_same_ring():
    plan = step_cost.astrocytes("ring", 5, 1.0, "numpy", "held", method="euler")
    ours, bare = run(plan), benchmark.bare_ring(plan)
    for name in ("C", "h", "I"):
        assert np.array_equal(ours[name].values, np.asarray(bare[name]).T)
    assert np.ptp(ours["I"].values[-1]) > 0.01  # element 0 is driven: the junctions have something to pass


@pytest.mark.slow
def test_lsoda_solves_the_same_line_and_error_sees_a_difference():
    plan = step_cost.astrocytes("line", 4, 2.0, "numpy")
    truth, recording = lsoda.solve(plan, lsoda.EXACT), run(plan)
    found = lsoda.error(recording, plan, truth)
    assert 1e-8 < found < 1e-3
    assert lsoda.apart(lsoda.solve(plan, 1e-6), truth) < 1e-4
    truth[7, 2, 1] += 0.5 * np.ptp(truth[:, :, 1])
    assert lsoda.error(recording, plan, truth) == pytest.approx(1 / 3, rel=0.01)  # half of the range, now 1.5 of it


def test_growth_is_that_of_what_a_step_costs_beyond_its_fixed_cost():
    rows = [{"cells": n, "seconds_a_step": 1e-4 + 1e-9 * n**1.1} for n in (10, 100, 10**6, 10**7, 10**8)]
    found = step_cost.growth(rows)
    assert found["sizes"] == [10**6, 10**7, 10**8]
    assert found["exponent"] == pytest.approx(1.1, abs=1e-3)
    assert step_cost.growth(rows[:3]) is None
    assert step_cost.growth([]) is None


@pytest.mark.slow
def test_steps_are_timed_in_turns_and_the_fastest_turn_counts(monkeypatch):
    """A clock that says what every step took, in the order of the steps; the first two of a batch do not count."""
    for name, value in (("TURNS", 2), ("FEWEST", 4), ("MOST", 4)):
        monkeypatch.setattr(step_cost, name, value)
    both_once, turns = [9, 9], [[9, 9, 1, 3], [9, 9, 5, 5], [9, 9, 4, 4], [9, 9, 1, 1]]
    clock = itertools.accumulate(itertools.chain(both_once, *turns))
    monkeypatch.setattr("time.process_time", lambda: next(clock))
    rows = step_cost.step_costs("ring", [10, 20])
    assert [(row["cells"], row["steps"], row["seconds_a_step"]) for row in rows] == [(10, 8, 2.0), (20, 8, 1.0)]
    assert next(clock, None) is None


def test_misses_are_said():
    found = {"exponents": {"ring": {"exponent": 1.2}, "sheet": None}, "overhead": {"ratio": 1.01}}
    assert [row["met"] for row in benchmark.targets(found)] == [False, None, True]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["astro_sim.benchmark.lsoda.apart", "astro_sim.benchmark.report._released"])
def test_no_speed_is_told_on_a_wrong_result(monkeypatch, what):
    monkeypatch.setattr(benchmark, "CHECKED", 0.2)
    monkeypatch.setattr(benchmark, "step_costs", lambda *given: pytest.fail("timed"))
    monkeypatch.setattr(what, lambda *given: 0.5)
    with pytest.raises(UserError, match="no speeds are reported"):
        benchmark.benchmark((10,))


@pytest.mark.parametrize(("given", "says"), [
    ({"sizes": (5,)}, "sizes 5"), ({"sizes": ()}, "sizes "), ({"sizes": (10,), "repetitions": 0}, "0 repetitions"),
    ({"sizes": (10,), "backends": ("numpy", "cpp")}, "backend numpy, cpp"),
    ({"sizes": (10,), "backends": ()}, "backend  are")])
def test_bad_input(given, says):
    with pytest.raises(UserError, match=says):
        benchmark.benchmark(**given)


@pytest.mark.slow
def test_the_verb_at_its_smallest(monkeypatch, capsys, tmp_path):
    for name, value in (("CHECKED", 0.5), ("COMPARED", 0.5), ("RING_STEPS", 20), ("STEPS", (0.01,)),
                        ("TOLERANCES", (1e-6,))):
        monkeypatch.setattr(benchmark, name, value)
    monkeypatch.setattr(step_cost, "TURNS", 1)
    monkeypatch.setattr(step_cost, "MOST", 12)
    monkeypatch.delitem(benchmark.NETWORKS, "ring")
    monkeypatch.setattr(benchmark, "check", lambda backend: {"network_against_lsoda": 1e-4,
                                                             "release_against_closed_form": 1e-12})
    out = tmp_path / "b.json"
    monkeypatch.setattr(sys, "argv", ["astro_sim", "benchmark", "--sizes", "10,100", "--repetitions", "1", "--json",
                                      "--backend", "numpy", "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        cli.run(app)
    assert not end.value.code
    found = json.loads(capsys.readouterr().out)
    assert found.items() <= sealed.read(out, KIND).items()
    assert [(row["network"], row["cells"]) for row in found["scaling"]] == [
        ("sheet", 9), ("sheet", 100), ("tripartite", 10), ("tripartite", 100)]
    for row in found["scaling"]:
        assert row["ns_a_cell_step"] == pytest.approx(1e9 * row["seconds_a_step"] / row["cells"])
        assert row["steps"] == 12
    assert found["lsoda"]["error_simulate"] < found["lsoda"]["accuracy"] > found["lsoda"]["error_lsoda"]
    said = benchmark.text(found)
    assert said.count("not measured") == 2
    assert f"simulate over bare Brian2: time: at most 1.05, measured {found['overhead']['ratio']:.3f}" in said
