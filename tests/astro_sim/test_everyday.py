"""The benchmark of everyday work: what it compares is the same cell, and misses are said."""

import sys

import numpy as np
import pytest

from astro_sim import simulate
from astro_sim.__main__ import app
from astro_sim.benchmark import everyday
from astro_sim.show.verbs.benchmark import KIND
from foundation import cli, sealed

ROW = {"what": "one cell", "seconds": 0.01, "measured": 4.0, "target": 3.0, "met": False, "command": "simulate(...)"}


def test_the_cell_by_hand_is_the_projects():
    recording = simulate("li_rinzel:AM", duration="12 s", dt="0.5 s")
    start = np.array([recording[name].values[0, 0] for name in "Ch"])
    stepped = everyday._rk4(everyday._by_hand(recording), start, 1200, 0.01)[::50]
    for column, name in enumerate("Ch"):
        found = recording[name].values[:, 0]
        assert np.abs(stepped[:, column] - found).max() < 1e-9 * np.ptp(found)


def test_misses_are_said():
    said = everyday.text([ROW, {**ROW, "measured": 2.0, "met": True}])
    assert "one cell: MISSED" in said and "one cell: met" in said and "simulate(...)" in said


def test_the_verb(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(everyday, "everyday", lambda: [ROW])
    out = tmp_path / "e.json"
    for more in (["--json", "--out", str(out)], []):
        monkeypatch.setattr(sys, "argv", ["astro_sim", "benchmark", "--everyday", *more])
        with pytest.raises(SystemExit) as end:
            cli.run(app)
        assert not end.value.code
    printed = capsys.readouterr().out
    assert sealed.read(out, KIND)["everyday"] == [ROW] and "MISSED" in printed


@pytest.mark.slow
def test_a_small_analysis_is_a_row():
    row = everyday.analysed(3)
    assert row["met"] == (row["measured"] <= row["target"]) and row["what"].startswith("analyse 3 coupled")
