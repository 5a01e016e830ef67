"""Runs written in pieces: the same file as in one piece, checked across the borders; estimates before the run."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray

from astro_sim.__main__ import app
from astro_sim.plan import prepare
from astro_sim.recording.recording import Recording
from astro_sim.run import estimate
from astro_sim.run.checks import Extent, first_problem, is_broken
from astro_sim.run.simulation import run
from astro_sim.run.streaming import run_to_file, simulate_to_file
from foundation import cli
from foundation.errors import ResourceError, UserError

ROOT = Path(__file__).parents[2]
CASES = {
    "every step": ("astrocyte_network", {"options": {"n_columns": 5}, "duration": "0.5 s", "dt": "10 ms",
                                        "method": "euler"}),
    "events and a map": ("tripartite", {"protocol": "regular:input=release,rate=9 hertz,count=4", "duration": "0.5 s",
                                        "dt": "5 ms", "options": {"n_synapses": 3, "loop": "open"},
                                        "initial": {"C": "0.6 umolar"}, "record_every": "15 ms",
                                        "method": "euler"}),
    "noise": ("gchi_stochastic", {"options": {"n": 2}, "duration": "0.3 s", "dt": "10 ms", "seed": 4}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_file_is_that_of_the_whole_run(tmp_path, case):
    model, given = CASES[case]
    plan = prepare(model, **given)
    whole = run(plan)
    row = estimate.recorded_elements(plan) * 8
    # pieces of 7 records: neither the records nor what the checks look back on is a multiple
    said = run_to_file(plan, tmp_path / "pieces.nc", piece=7 * row)
    back = Recording.load(tmp_path / "pieces.nc")
    assert said["content_sha256"] == back.content_hash == whole.content_hash
    whole.save(tmp_path / "whole.nc")
    with xarray.open_dataset(tmp_path / "pieces.nc") as one, xarray.open_dataset(tmp_path / "whole.nc") as other:
        xarray.testing.assert_identical(one, other)
        assert "time" in one.encoding["unlimited_dims"]
    assert all(len(seen.times) for seen in back.events.values())
    for name, series in whole.variables.items():
        assert said["variables"][name]["min"] == series.values.min()
        assert said["variables"][name]["last"] == series.values[-1].tolist()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".nc"] == []


@pytest.mark.parametrize("at", [8, 9, 10, 63, 64, 72])
def test_alternation_and_jumps_are_seen_wherever_a_block_ends(monkeypatch, at):
    """Blocks of 9 rows and the whole at once say the same, and what a naive reading says."""
    plan = prepare("li_rinzel", duration="1 s", dt="10 ms")
    time, calm = np.arange(101.0), np.linspace(0.1, 0.3, 101)[:, None]
    shaking = calm.copy()
    shaking[at:, 0] += np.where(np.arange(101 - at) % 2, 0.01, -0.01)
    jumping = np.where(np.arange(101)[:, None] < at, 0.1, 0.4) + 1e-3 * calm
    for values, says in ((calm, None), (shaking, "turns back"), (jumping, "changes by more than half")):
        found = []
        for block in (1, 1 << 20):
            monkeypatch.setattr("astro_sim.run.checks.BLOCK", block)
            found.append(first_problem(plan, "C", time, values=values, extent=None, every_step=True))
        assert found[0] == found[1]
        assert (found[0] is None) if says is None else says in found[0][0]
    # a jump is at its second record; a shake is known after 8 turns, the first of which is at the shake's second record
    assert found[0][1] == at
    assert first_problem(plan, "C", time, values=shaking, extent=None, every_step=True)[1] in (at + 7, at + 8)


def test_extents_of_pieces_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(size=(23, 3))
    values[11, 1], values[5, 2] = np.nan, np.inf
    whole, pieces = Extent(), Extent()
    whole.add(values)
    for start in range(0, 23, 5):
        pieces.add(values[start : start + 5])
    for name in ("low", "high", "size"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name), equal_nan=True)
    assert np.isfinite(whole.size).all()


@pytest.mark.slow
def test_a_run_that_breaks_ends_at_once_and_leaves_nothing(tmp_path, monkeypatch):
    plan, asked = prepare("macro", duration="4000 s", dt="300 ms", method="rk4"), []
    monkeypatch.setattr("astro_sim.run.streaming.is_broken", lambda *given: asked.append(given) or is_broken(*given))
    with pytest.raises(UserError, match=r"x leaves its bounds .* at .* passes there"):
        run_to_file(plan, tmp_path / "a.nc", piece=30 * estimate.recorded_elements(plan) * 8)
    assert len(asked) < 4 * 10  # four variables a piece: not the 445 pieces of the whole run
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    """A second run with 48 MB more of numbers needs next to nothing more."""
    code = """
import sys
from astro_sim.run.streaming import run_to_file
from astro_sim.plan import prepare
for seconds in (20, 70):
    plan = prepare("gchi", options={"n": 4000}, duration=seconds, dt="100 ms", method="euler")
    run_to_file(plan, sys.argv[1], piece=1 << 20)
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.nc")], check=True, capture_output=True,
                          text=True, cwd=ROOT)
    before, after = map(int, done.stdout.split())
    assert after - before < 10_000  # kB


@pytest.mark.slow
def test_estimates_count_the_recording_and_bound_the_memory():
    plan = prepare("astrocyte_network", options={"n_columns": 200}, duration="0.1 s", dt="10 ms", record_every="20 ms",
                   method="euler")
    needed = estimate.estimate(plan)
    assert needed.recording == needed.disk == sum(series.values.nbytes for series in run(plan).variables.values())
    assert not needed.streamed
    large = estimate.estimate(prepare("astrocyte_network", options={"n_columns": 200}, duration="1000 s", dt="10 ms",
                                      method="rk4"))
    assert large.streamed
    assert large.recording > estimate.STREAM_ABOVE
    assert large.memory < needed.memory + 4 * estimate.PIECE
    cpp = estimate.estimate(prepare("astrocyte_network", options={"n_columns": 200}, duration="1000 s", dt="10 ms",
                                    backend="cpp"))
    assert not cpp.streamed
    assert cpp.memory > 2 * cpp.recording


def test_what_is_too_large_is_refused_with_the_estimate(tmp_path, monkeypatch):
    plan = prepare("li_rinzel", duration="1000 s", dt="1 ms")
    with pytest.raises(ResourceError, match=r"memory: the run needs about 2\d\d MB .*16 MB.* 20 MB may be used"):
        run(plan, memory_limit=20_000_000)
    with pytest.raises(ResourceError, match=r"disk: the recording needs 16 MB, 10 MB may be used"):
        run_to_file(plan, tmp_path / "a.nc", disk_limit=10_000_000)
    monkeypatch.setattr(estimate, "usable_memory", lambda: 900)
    with pytest.raises(ResourceError, match="memory"):
        run_to_file(plan, tmp_path / "a.nc")
    with pytest.raises(UserError, match="backend cpp: cannot write in pieces"):
        simulate_to_file(tmp_path / "a.nc", "li_rinzel", backend="cpp")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "size"), [("8 GB", 8 * 10**9), ("1.5MiB", 3 << 19), ("7", 7), (None, None)])
def test_sizes(text, size):
    assert estimate.parse_size(text, "x") == size


@pytest.mark.parametrize("text", ["", "x", "-1 GB", "1 GX", "0"])
def test_sizes_that_are_none(text):
    with pytest.raises(UserError, match=r"x: .* is not a size"):
        estimate.parse_size(text, "x")


def test_free_memory_is_that_of_the_machine():
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < estimate.usable_memory() <= total


@pytest.mark.slow
def test_the_flags(tmp_path, monkeypatch, capsys):
    words = ["astro_sim", "run", "li_rinzel", "--duration", "0.3 s", "--dt", "10 ms", "--out", str(tmp_path / "c.nc"),
             "--json"]

    def program(*more):
        monkeypatch.setattr(sys, "argv", [*words, *more])
        with pytest.raises(SystemExit) as end:
            cli.run(app)
        return end.value.code or 0, *capsys.readouterr()

    code, out, _ = program("--dry-run")
    assert json.loads(out)["estimate"]["recording_bytes"] == 31 * 2 * 8
    code, out, err = program("--memory-limit", "1 MB")
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert program("--disk-limit", "400 B")[0] == 4
    assert program("--stream", "--check-dt")[0] == 2
    assert list(tmp_path.iterdir()) == []
    code, out, _ = program("--stream")
    whole = run(prepare("li_rinzel", duration="0.3 s", dt="10 ms"))
    assert (code, json.loads(out)["content_sha256"]) == (0, whole.content_hash)
