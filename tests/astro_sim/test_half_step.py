"""--check-dt: the difference that it reports is the one that an independent solution gives."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from astro_sim.plan import prepare
from astro_sim.run.half_step import check_step, text
from astro_sim.run.simulation import run, simulate
from foundation.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_reports_the_difference_and_it_falls_with_the_order():
    found = []
    for dt in ("20 ms", "10 ms"):
        plan = prepare("macro", "constant:input=b_pre,value=1", duration="2 s", dt=dt, record_every="100 ms",
                       method="rk4")
        found.append(check_step(plan, run(plan)))
    finer = simulate("macro", "constant:input=b_pre,value=1", duration="2 s", dt="5 ms", record_every="100 ms",
                     method="rk4")
    coarse = simulate("macro", "constant:input=b_pre,value=1", duration="2 s", dt="10 ms", record_every="100 ms",
                      method="rk4")
    for name, row in found[1].items():
        apart = np.abs(coarse[name].values - finer[name].values).max()
        assert row["largest"] == pytest.approx(apart, rel=1e-12)
        assert row["relative"] == pytest.approx(apart / np.ptp(finer[name].values), rel=1e-12)
    # sums are taken at the middle of a step: second order, so half the step gives a quarter of the difference
    assert found[0]["x"]["largest"] / found[1]["x"]["largest"] == pytest.approx(4, rel=0.1)


def test_with_error_control_it_is_the_tolerance_that_is_checked():
    plan = prepare("li_rinzel", duration="12 s", dt="0.1 s", rtol=1e-8, atol=1e-10)
    row = check_step(plan, run(plan))["C"]
    assert 1e-8 < row["relative"] < 1e-3  # what a hundred times the tolerance costs
    assert text(check_step(plan, run(plan)), plan).startswith("against rtol = 1e-06:")


@pytest.mark.slow
def test_noise_is_refused():
    plan = prepare("gchi_stochastic", duration="0.1 s", dt="10 ms")
    with pytest.raises(UserError, match="check-dt: gchi_stochastic has noise"):
        check_step(plan, run(plan))


def test_noise_is_refused_before_the_run(tmp_path, astro_sim):
    code, _, said = astro_sim("run", "gchi_stochastic", "--duration", "1s", "--dt", "10ms", "--check-dt", "--out",
                              "noisy.nc")
    assert code == 2 and "has noise" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_flag(tmp_path):
    words = ["run", "li_rinzel", "--duration", "2 s", "--dt", "20 ms", "--check-dt", "--json", "--method", "rk4",
             "--out", str(tmp_path / "c.nc")]
    done = subprocess.run([sys.executable, "-m", "astro_sim", *words], capture_output=True, text=True, check=True,
                          cwd=ROOT)
    row = json.loads(done.stdout)["check_dt"]["C"]
    assert row["unit"] == "umolar"
    assert 0 < row["relative"] < 1e-6  # rk4 at 20 ms, rates of some 10/s: (0.2)^4/100
