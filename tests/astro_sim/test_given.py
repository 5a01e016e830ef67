"""What a user may hand to `simulate`: numbers of NumPy, quantities of Brian2, and what is refused in words."""

import brian2
import numpy as np
import pytest

from astro_sim import analysis, plan
from astro_sim.protocols import constant, ramp, steps
from astro_sim.protocols.trains import spikes
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

SHORT = {"duration": 0.1, "dt": 0.01}


@pytest.mark.slow
def test_quantities_of_brian2_keep_their_unit():
    """A quantity has its own unit: its bare number, in base units, is 1000 times smaller than one of umolar."""
    told = ["constant:input=ip3_flux,value=0.3 umolar/second", spikes("spikes", [0.02])]
    text = plan.prepare("li_rinzel_driven", told, parameters={"K_P": "0.07 umolar", "tau_I": "5 second"},
                        initial={"C": "0.2 umolar"}, **SHORT)
    drives = [constant("ip3_flux", 0.3 * brian2.umolar / brian2.second), spikes("spikes", [20 * brian2.ms])]
    given = plan.prepare("li_rinzel_driven", drives, parameters={"K_P": 70 * brian2.nmolar, "tau_I": 5 * brian2.second},
                         initial={"C": [0.2 * brian2.umolar]}, duration=100 * brian2.ms, dt=10 * brian2.ms)
    for name in ("K_P", "tau_I"):
        assert given.parameters[name].value == pytest.approx(text.parameters[name].value, rel=1e-12)
    assert given.initial["C"] == pytest.approx((0.2,), rel=1e-12)
    assert (given.duration, given.dt, *given.protocol[1].times) == pytest.approx((0.1, 0.01, 0.02), rel=1e-12)
    runs = [analysis.amplitude(simulate("li_rinzel_driven", one, **SHORT), "I") for one in (text.protocol, drives)]
    assert runs[0] == pytest.approx(runs[1], rel=1e-12)


@pytest.mark.parametrize(("given", "said"), [
    ({"dt": 10 * brian2.mV}, "dt: .*wrong dimension"),
    ({"parameters": {"K_P": 1 * brian2.second}}, "K_P: .*wrong dimension"),
    ({"initial": {"C": [1 * brian2.second]}}, "C: .*wrong dimension"),
    ({"initial": {"C": 3 * brian2.metre**5}}, "C: .*wrong dimension"),
    ({"parameters": None}, "parameters: None is not allowed; give a dictionary"),
    ({"initial": {"h": ["a"]}}, "h: 'a' is not a number"),
    ({"initial": {"h": [0.1, 0.2]}}, "h: 2 initial values; give 1, each between 0 and 1$"),
    ({"initial": {"h": None}}, "h: None is not a number"),
    ({"seed": 3.0}, "seed: 3.0 is not allowed"),
    ({"options": {"m": 3}}, "unknown option of li_rinzel .m."),
    ({"method": "heun"}, "method: heun is for models with noise, and li_rinzel has none; choose one of: auto"),
    ({"model": None}, "unknown model 'None'"),
])
def test_what_cannot_be_is_said(given, said):
    with pytest.raises(UserError, match=said):
        plan.prepare(**{"model": "li_rinzel", **SHORT, **given})


@pytest.mark.slow
@pytest.mark.parametrize(("given", "said"), [
    ({"method": "exponential_euler"}, "method: exponential_euler does not fit li_rinzel .*; choose rk4"),
    ({"parameters": {"K_P": "1e300 umolar"}, "method": "rk4"},
     "parameters: too large .*; look at K_P = 1e.300 umolar")])
def test_what_only_brian2_finds_is_said_too(given, said):
    with pytest.raises(UserError, match=said):
        simulate("li_rinzel", **SHORT, **given)


@pytest.mark.parametrize("make", [
    lambda: constant("d", None), lambda: steps("d", None, None), lambda: ramp("d", [0, 1], 3), lambda: spikes("s", 1),
    lambda: constant("d", 1, elements=[0.5]), lambda: constant("d", 1, elements="5-2")])
def test_protocols_refuse_in_words(make):
    with pytest.raises(UserError, match=r"give|write"):
        make()


def test_numbers_of_numpy_are_numbers():
    given = plan.prepare("li_rinzel", seed=np.int64(3), initial={"h": np.float32(0.5)}, **SHORT)
    assert given.seed == 3 and type(given.seed) is int and given.initial["h"].value == 0.5
    assert constant("d", np.float64(0.1), elements=np.int64(2)).elements == (2,)


@pytest.mark.slow
def test_times_and_levels_of_an_analysis_may_have_units():
    recording = simulate("li_rinzel", duration="30 s", dt="20 ms")
    plain = analysis.crossings(recording, "C", after=5.0, level=0.3)
    assert len(plain) and np.array_equal(plain, analysis.crossings(recording, "C", after="5 s", level="300 nmolar"))
    with pytest.raises(UserError, match="after: nan is not finite"):
        analysis.period(recording, "C", after=float("nan"))
    with pytest.raises(UserError, match="after: -1 s is before the start"):
        from astro_sim.analysis import summarise
        summarise(recording, -1.0)
