"""Cells that exchange calcium with the outside, against the papers' equations solved anew in uM and s."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.signal import find_peaks

from astro_sim import dynamics
from astro_sim.models import MODELS, open_cell
from astro_sim.plan import prepare
from astro_sim.protocols import constant, steps
from astro_sim.run.simulation import simulate
from foundation.errors import UserError


def taheri(t, y, ip3):
    """Handy2017's full model, as its authors' program has it: C, total calcium, h."""
    cytosol, total, h = y
    er = 5.4054 * (total - cytosol)
    receptor = 0.222 * (ip3 / (ip3 + 0.13) * cytosol / (cytosol + 0.08234) * h) ** 3 * (er - cytosol)
    pump = 0.9 * cytosol**1.75 / (cytosol**1.75 + 0.1**1.75)
    membrane = 0.05 - 1.2 * cytosol + 1.57 * 90**4 / (90**4 + er**4) - 10 * cytosol**2 / (2.5**2 + cytosol**2)
    inactivation = 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
    return [receptor - pump + 0.002 * (er - cytosol) + 0.2 * membrane, 0.2 * membrane,
            0.04 * (inactivation * (1 - h) - cytosol * h)]


def lavrentovich(t, y, flux=0.0):
    """BioModels 184: C, calcium in the ER, IP3."""
    x, er, z = y
    release = 4 * 40 * 0.15**2.02 * x**2.02 / (x**2.02 + 0.15**2.02) ** 2 * z**2.2 / (z**2.2 + 0.1**2.2) * (er - x)
    pump, leak = 15 * x**2 / (x**2 + 0.1**2), 0.5 * (er - x)
    return [0.05 - 0.5 * x + release - pump + leak, pump - release - leak,
            0.05 * x**2 / (x**2 + 0.3**2) - 0.08 * z + flux]


REST = [0.0865415, 36.49084, 0.6255124]


@pytest.mark.slow
def test_an_open_cell_agrees_with_an_independent_solution():
    """IP3 rises and falls: calcium of the whole cell is lost while the store releases, and comes back slowly."""
    jumps = [(0.0, 0.0), (5.0, 0.4), (25.0, 0.15), (40.0, 0.0)]
    drive = steps("ip3", [at for at, _ in jumps], [f"{value} umolar" for _, value in jumps])
    recording = simulate("open_cell", drive, duration="60 s", dt="20 ms")
    state, wanted = np.array(REST), [REST]
    for (at, ip3), end in zip(jumps, [*(at for at, _ in jumps[1:]), 60.0], strict=True):
        times = recording.time[(recording.time > at + 1e-9) & (recording.time <= end + 1e-9)]
        found = solve_ivp(taheri, (at, end), state, "DOP853", times, rtol=1e-11, atol=1e-13, args=(ip3,)).y.T
        wanted += list(found)
        state = found[-1]
    wanted = np.array(wanted)
    lost = wanted[0, 1] - wanted[:, 1].min()
    assert lost > 1 and wanted[:, 0].max() > 0.5  # it is open, and it answers
    for k, name in enumerate(("C", "C_tot", "h")):
        assert recording[name].values[:, 0] == pytest.approx(wanted[:, k], rel=1e-7)
    assert recording["C_ER"].values[:, 0] == pytest.approx(5.4054 * (wanted[:, 1] - wanted[:, 0]), rel=1e-7)


@pytest.mark.slow
def test_a_cell_that_oscillates_by_itself_agrees_with_an_independent_solution():
    recording = simulate("lavrentovich_hemkin", duration="180 s", dt="20 ms", record_every="0.1 s")
    wanted = solve_ivp(lavrentovich, (0, recording.time[-1]), [0.1, 1.5, 0.1], "Radau", recording.time, rtol=1e-10,
                       atol=1e-12).y
    assert wanted[0].max() > 0.6
    for k, name in enumerate(("C", "C_ER", "I")):
        assert recording[name].values[:, 0] == pytest.approx(wanted[k], rel=1e-6, abs=1e-9)


def test_where_a_cell_rests_is_where_the_program_of_its_authors_starts():
    assert taheri(0.0, REST, 0.0) == pytest.approx([0, 0, 0], abs=2e-8)
    recording = simulate("open_cell", duration="20 s", dt="0.1 s")
    for name, value in zip(("C", "C_tot", "h"), REST, strict=True):
        assert np.abs(recording[name].values - value).max() < 1e-6 * value


def test_a_closed_cell_keeps_its_calcium():
    recording = simulate("open_cell", constant("ip3", "0.3 umolar"), parameters={"delta": "0"}, duration="10 s",
                         dt="50 ms")
    assert np.ptp(recording["C_tot"].values) == 0 and recording["C"].values.max() > 0.2


@pytest.mark.slow
def test_ip3_decides_whether_an_open_cell_oscillates():
    assert dynamics.scan(MODELS["open_cell"], "ip3", low=0.05, high=1.0, points=12).hopf


def transient(t, largest, rise, rate, decay):
    """IP3 in uM, as the program of the authors has it, from 20 s on."""
    up = largest * (1 - np.exp(-rate * (t - 20))) / (1 - np.exp(-rate * rise))
    down = largest * np.exp(-np.log(largest / 0.005) / decay * (t - 20 - rise))
    return np.where(t < 20, 0.0, np.where(t < 20 + rise, up, down))


@pytest.mark.parametrize("kind", open_cell.TRANSIENTS)
def test_stimuli_are_those_of_the_authors(kind):
    plan = prepare("open_cell", open_cell.ip3_transient(kind), duration="300 s", dt="50 ms")
    times = np.linspace(0.1, 290, 500)
    found = plan.inputs["astrocyte", "I"].at(times)[:, 0]
    assert found == pytest.approx(transient(times, *open_cell.TRANSIENTS[kind]), rel=1e-9, abs=1e-15)
    assert found.max() > 0.95 * open_cell.TRANSIENTS[kind][0]


def test_another_stimulus_is_refused():
    with pytest.raises(UserError, match="did you mean 'plateau'"):
        open_cell.ip3_transient("platteau")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["single_peak", "multi_peak"])
def test_calcium_answers_as_the_stimulus_is_named(kind):
    recording = simulate("open_cell", open_cell.ip3_transient(kind), duration="120 s", dt="50 ms")
    wanted = solve_ivp(lambda t, y: taheri(t, y, float(transient(t, *open_cell.TRANSIENTS[kind]))), (0, 120), REST,
                      "LSODA", recording.time, rtol=1e-8, atol=1e-10, max_step=0.2).y
    assert recording["C"].values[:, 0] == pytest.approx(wanted[0], abs=1e-5)
    found = find_peaks(recording["C"].values[:, 0], height=0.2, prominence=0.05)[0]
    assert (len(found) == 1) == (kind == "single_peak") and len(found) > 0
