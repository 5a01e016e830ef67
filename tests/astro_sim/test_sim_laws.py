"""What the equations keep is checked after every run: a run that breaks it is an error, whole or in pieces."""

import dataclasses

import numpy as np
import pytest

from astro_sim import checks
from astro_sim.models import MODELS
from astro_sim.models import associative_memory as memory
from astro_sim.plan import prepare
from astro_sim.recording import Recording
from astro_sim.simulate import simulate
from foundation.errors import UserError


def altered(recording, name, change):
    """The recording with other values of one variable."""
    series = recording[name]
    values = series.values.copy()
    change(values)
    return Recording(recording.time, {**recording.variables, name: dataclasses.replace(series, values=values)},
                     recording.meta)


@pytest.fixture(scope="module")
def network():
    plan = prepare("astrocyte_network", options={"n_columns": 5}, initial={"I": [0.2, 1.4, 0.3, 0.9, 0.5]},
                   duration="1 s", dt="50 ms")
    return plan, simulate("astrocyte_network", options={"n_columns": 5}, initial={"I": [0.2, 1.4, 0.3, 0.9, 0.5]},
                          duration="1 s", dt="50 ms")


def test_a_flux_that_gets_lost_is_found(network):
    plan, recording = network
    assert checks.find_problem(plan, recording) is None

    def lose(values):
        values[7, 2] += 1e-6 * np.abs(values).max()

    what, when = checks.find_problem(plan, altered(recording, "J_coupling", lose))
    assert what == "the sum of the flux through gap junctions is not zero"
    assert when == pytest.approx(recording.time[7])


@pytest.mark.parametrize("block", [checks.BLOCK, 16])
def test_an_energy_that_rises_is_found_also_between_two_pieces(monkeypatch, block):
    given = {"options": {"n": 4}, "initial": memory.cue(0, 1, n=4), "duration": "2 s", "dt": "50 ms"}
    plan, recording = prepare("associative_memory", **given), simulate("associative_memory", **given)
    monkeypatch.setattr(checks, "BLOCK", block)  # pieces of nine rows
    assert checks.find_problem(plan, recording) is None
    def turn_back(values):
        values[18:] = values[10]

    what, when = checks.find_problem(plan, altered(recording, "s", turn_back))
    assert (what, when) == ("energy at constant input rises", pytest.approx(recording.time[18]))


@pytest.mark.parametrize("given", [
    {"protocol": "steps:input=b,times=0s+1s,values=0+2"}, {"parameters": {"w_g": "0"}},
    {"protocol": "constant:input=d,value=1,elements=1"},
    {"initial": {"s": [0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]}}])
def test_the_energy_law_is_not_claimed_where_it_does_not_hold(given):
    plan = prepare("associative_memory", options={"n": 3}, duration="2 s", dt="50 ms", **given)
    recording = simulate("associative_memory", options={"n": 3}, duration="2 s", dt="50 ms", **given)
    assert memory.MODEL.laws[0].quantity(plan, recording) is None


def test_a_run_that_breaks_a_law_is_an_error_with_a_step_that_keeps_it():
    """Explicit Euler with fast processes: bounded and smooth to look at, yet the energy rises."""
    law = dataclasses.replace(memory.MODEL.laws[0], quantity=lambda plan, recording: np.where(
        recording.time > 0.5, plan.dt > 0.02, 0.0))
    model = dataclasses.replace(memory.MODEL, name="associative_memory", laws=(law,))
    with pytest.raises(UserError, match=r"dt: 0\.05 s is too large: energy at constant input rises at 0\.55 s; "
                                        r"dt = 0\.01 s passes there"):
        simulate(model, options={"n": 3}, duration="1 s", dt="50 ms")


@pytest.mark.parametrize("name", ["li_rinzel", "li_rinzel_driven", "gchi", "gchi_receptor_stochastic",
                                  "astrocyte_network"])
def test_the_cytosol_cannot_hold_more_than_all_calcium(name):
    """(1 + rho_A) C < C_T is stricter than C < C_T: at 1.8 umolar the ER would hold less than nothing."""
    with pytest.raises(UserError, match="calcium in the cytosol beyond what the ER can give is not zero at the start"):
        simulate(name, initial={"C": "1.8 umolar"}, duration="0.3 s", dt="10 ms")
    assert MODELS[name].laws
