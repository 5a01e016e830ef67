"""Spikes and delays that fall between steps: exact where an effect can be, said where it is not."""

import warnings

import numpy as np
import pytest

from astro_sim.model import Connection, Model, Observable, Pairs, Population, SpikeInput, one_to_one
from astro_sim.models import MODELS
from astro_sim.models.graupner_brunel import pairing_curve
from astro_sim.parameter import Parameter
from astro_sim.plan import RoundedTimes, plan_of, prepare
from astro_sim.plan.rounding import common_step
from astro_sim.protocols import poisson, regular, spikes
from astro_sim.protocols.arrivals import arrivals
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

OWN, TAU, DELAY = "assumed here", 0.02, 0.00437
PARAMETERS = {"tau": Parameter(20.0, "msecond", "decay", OWN, "assumed"),
              "late": Parameter(4.37, "msecond", "delay", OWN, "assumed", "nonnegative"),
              "size": Parameter(1.0, "1", "of a jump", OWN, "assumed")}
START = {"x": Parameter(0.0, "1", "at the start", OWN, "assumed", "any")}


def filtered(on_pre, n=3):
    """Spikes of a protocol that raise a decaying variable after a delay."""
    def size(options):
        return n

    return Model("filtered", "spikes through a filter",
                 (Population("source", "", "", size),
                  Population("filter", "", "dx/dt = -x/tau : 1", size, method="exact")),
                 {"own": PARAMETERS}, START, {"x": Observable("filter", "1", "x")},
                 connections=(Connection("jumps", "source", "filter", "", "", one_to_one(size), on_pre=on_pre,
                                         delay="late"),),
                 spike_inputs={"spikes": SpikeInput("source", "spikes")})


EXACT, NEAREST = "x_post += size*exp(-since_arrival/tau)", "x_post += size"


def answer(times, spike_times, delay=DELAY):
    """What a filter shows: the sum over all spikes that have arrived."""
    since = times[:, None] - (np.asarray(spike_times)[None, :] + delay)
    return np.where(since > -1e-12, np.exp(-np.maximum(since, 0) / TAU), 0.0).sum(axis=1)


def test_an_effect_that_knows_its_arrival_is_exact():
    """Sources with other times each, two of them by chance, on a step that has none of the times."""
    drives = [spikes("spikes", [0.0113, 0.0171, 0.05], elements=[0]),
              poisson("spikes", "40 hertz", "0.2 s", seed=29, elements=[1, 2])]
    recording = simulate(filtered(EXACT), drives, duration="0.2 s", dt="0.7 ms")
    for k, train in enumerate((drives[0], drives[1], drives[1])):
        apart = np.diff(train.of(k))
        assert len(train.of(k)) > 2 and apart.min() > 0.0007  # each step has one at most
        assert recording["x"].values[:, k] == pytest.approx(answer(recording.time, train.of(k)), rel=1e-10, abs=1e-12)


def test_arrivals_that_all_fall_alike_need_no_table():
    recording = simulate(filtered(EXACT, 1), regular("spikes", "50 hertz", 5, "10.3 ms"), duration="0.15 s", dt="1 ms")
    given = 0.0103 + 0.02 * np.arange(5)
    assert recording["x"].values[:, 0] == pytest.approx(answer(recording.time, given), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("delay", [0.0, 0.004, DELAY, 0.0003])
def test_spikes_of_a_threshold_arrive_after_their_delay(delay):
    """A clock that passes its threshold at the end of every tenth step, seen through a delay between steps."""
    clock = Population("source", "", "dphase/dt = 100*hertz_one : 1", threshold="phase > 0.9999", reset="phase = 0")
    model = Model("clocked", "a clock and a filter", (clock, Population("filter", "", "dx/dt = -x/tau : 1",
                                                                         method="exact")),
                  {"own": {**PARAMETERS, "hertz_one": Parameter(1.0, "hertz", "unit", OWN, "assumed")}},
                  START | {"phase": Parameter(0.0, "1", "at the start", OWN, "assumed", "any")},
                  {"x": Observable("filter", "1", "x")},
                  connections=(Connection("jumps", "source", "filter", "", "", lambda o: Pairs([0], [0]), on_pre=EXACT,
                                          delay="late"),))
    recording = simulate(model, duration="60 ms", dt="1 ms", parameters={"late": f"{delay} s"})
    # a spike at the end of a step is there at the start of the next one
    sent = 0.01 * np.arange(1, 7)
    assert recording["x"].values[:, 0] == pytest.approx(answer(recording.time, sent, delay), rel=1e-9, abs=1e-12)


def test_arrivals_against_a_naive_twin():
    random, dt = np.random.default_rng(3), 0.003
    trains = [spikes("spikes", np.sort(random.choice(400, 30, replace=False)) * dt + random.uniform(0, 1e-3),
                     elements=[k]) for k in (0, 2)]
    for before in (True, False):
        found = arrivals(trains, 3, delay=0.0107, dt=dt, steps=500, before=before)
        wanted = [(k, int(np.floor(at / dt)) if before else int(np.ceil(at / dt)), at) for k, train in zip(
            (0, 2), trains, strict=True) for at in train.of(k) + 0.0107]
        assert found.elements.tolist() == [k for k, _, _ in wanted]
        assert found.steps.tolist() == [step for _, step, _ in wanted]
        assert found.offsets == pytest.approx([step * dt - at for _, step, at in wanted], abs=1e-15)
        table = found.table(3)
        assert table.shape == (30, 3) and not table[:, 1].any()
        assert table[:, 2] == pytest.approx(found.offsets[30:])


def test_what_falls_on_a_step_stays_there():
    """Sums of decimal times are not exact: 0.1 + 0.2 is on a step of 0.1."""
    found = arrivals([spikes("spikes", [0.1, 0.3])], 1, delay=0.2, dt=0.1, steps=9, before=False)
    assert found.steps.tolist() == [3, 5] and found.offsets.tolist() == [0.0, 0.0]


def test_half_a_step_of_a_delay_goes_up():
    """Brian2's own queues of spikes differ: 2.5 steps are 2 in Python's, 3 in C's."""
    recording = simulate(filtered(NEAREST, 1), spikes("spikes", [0.01]), parameters={"late": "2.5 ms"},
                         duration="20 ms", dt="1 ms")
    assert np.flatnonzero(recording["x"].values[:, 0])[0] == 13


def test_several_arrivals_in_a_step_are_exact_too():
    """Of one element: three in a step, each at its own distance, and one of another train."""
    given = [0.0101, 0.0104, 0.0107, 0.0123]
    recording = simulate(filtered(EXACT, 1), [spikes("spikes", given[:3]), spikes("spikes", given[3:])],
                         duration="0.05 s", dt="1 ms")
    assert recording["x"].values[:, 0] == pytest.approx(answer(recording.time, given), rel=1e-10, abs=1e-12)


def test_two_arrivals_in_a_step_that_is_told_of_one_are_refused():
    with pytest.raises(UserError, match="takes one; give a shorter step"):
        arrivals([spikes("spikes", [0.0101, 0.0104])], 1, delay=0, dt=1e-3, steps=20, before=True)
    trains = [poisson("spikes", "2 kHz", "50 ms", seed=n) for n in (1, 2)]
    found = arrivals(trains, 1, delay=0, dt=1e-3, steps=1000, before=True)
    assert len(found.steps) == sum(len(train.of(0)) for train in trains) and (np.diff(found.steps) >= 1).all()


@pytest.mark.parametrize(("on_pre", "says"), [
    ("x_post += since_arrival/tau + arrival_time/tau", "a connection of its own"),
    ("x_post += size*since_arival", "since_arival")])
def test_texts_that_cannot_be_are_refused(on_pre, says):
    with pytest.raises(UserError, match=says):
        filtered(on_pre)


def test_an_arrival_is_known_in_on_pre_alone():
    with pytest.raises(UserError, match="on_pre of a connection alone: since_arrival"):
        Model("wrong", "", (Population("p", "", "dx/dt = -since_arrival/tau**2 : 1"),), {"own": {
            "tau": PARAMETERS["tau"]}}, START, {"x": Observable("p", "1", "x")})


# ---------------------------------------------------------------------------------------------- what is said


@pytest.mark.parametrize(("model", "protocol", "given", "says"), [
    ("tripartite", spikes("spikes", [0.1, 0.1234, 0.2]), {"options": {"loop": "none"}},
     "1 of 3 given spikes of spikes .* by up to 0.4 ms; dt = 0.2 ms"),
    ("tripartite", regular("spikes", "3 hertz", 4), {"options": {"loop": "none"}}, "no step has all of these times"),
    ("li_rinzel_driven", spikes("spikes", [0.0005]), {}, "dt = 0.5 ms has all"),
    ("neuron_glia_network", None, {"dt": "0.3 ms"}, r"tau_r = 5 ms is taken as 4.8 ms \(-4 %\); dt = 0.25 ms has all"),
    ("tripartite", None, {"dt": "20 ms"}, "releases fall on the end of the step .* up to 20 ms late; half the step"),
    ("graupner_brunel", poisson("pre", "100 hertz", "1 s"), {"dt": "5 ms"}, "39 % of the spikes of pre share a step"),
    (filtered(NEAREST), None, {}, r"late = 4.37 ms is taken as 4 ms \(-8.5 %\); dt = 0.874 ms has all"),
    (filtered(NEAREST), spikes("spikes", [0.01]), {"parameters": {"late": "4.5 ms"}},
     r"late = 4.5 ms is taken as 5 ms \(\+11 %\); dt = 0.5 ms has all")])
def test_what_is_moved_is_said(model, protocol, given, says):
    with pytest.warns(RoundedTimes, match=says):
        prepare(model, protocol, **{"duration": "1 s", "dt": "1 ms", **given})


@pytest.mark.parametrize(("model", "protocol", "given"), [
    ("tripartite", spikes("spikes", [0.1, 0.123, 0.2]), {}), ("graupner_brunel", "pairing:offset=3.3 ms", {}),
    ("graupner_brunel", "pairing:offset=3.3 ms", {"dt": "7 ms"}), ("neuron_glia_network", None, {}),
    ("tripartite", poisson("spikes", "5 hertz", "1 s"), {}), (filtered(EXACT), spikes("spikes", [0.0123]), {})])
def test_what_is_exact_is_not_said(model, protocol, given):
    with warnings.catch_warnings(action="error", category=RoundedTimes):
        plan = prepare(model, protocol, **{"duration": "1 s", "dt": "1 ms", **given})
    assert plan.dt


def test_a_recording_that_is_read_back_does_not_say_it_again():
    with pytest.warns(RoundedTimes):
        plan = prepare("tripartite", spikes("spikes", [0.1234]), duration="1 s", dt="1 ms")
    with warnings.catch_warnings(action="error", category=RoundedTimes):
        assert plan_of(plan.meta()).protocol == plan.protocol


def test_a_program_says_it_in_a_line(astro_sim):
    words = ("run", "tripartite", "--dry-run", "--protocol", "spikes:input=spikes,times=12.3ms", "--duration", "1s")
    code, _, said = astro_sim(*words)
    assert code == 0 and said.startswith("note: tripartite at dt = 1 ms: 1 of 1 given spikes") and said.count("\n") == 1


@pytest.mark.slow
def test_a_sweep_says_it_once(astro_sim):
    """When its points are checked, not again by the processes that work them off."""
    code, _, said = astro_sim("sweep", "tripartite", "--out", "sweep", "--vary", "U_0_star=0.3,1", "--duration", "30ms",
                              "--protocol", "spikes:input=spikes,times=12.3ms", "--option", "loop=none")
    assert code == 0 and said.count("given spikes") == 1


@pytest.mark.parametrize(("times", "longest", "step"), [
    ((0.0137, 0.1), 0.001, 0.0001), ((0.005,), 0.0003, 0.00025), ((0.01, 0.02), 0.001, 0.001),
    ((1 / 3, 0.1), 1.0, None), ((), 0.001, None), ((0.0, 0.3), 1.0, 0.3), ((7e-9,), 1.0, 7e-9)])
def test_the_step_that_has_all_times(times, longest, step):
    found = common_step(times, longest)
    assert found == (None if step is None else pytest.approx(step, rel=1e-12))
    if found:
        assert np.allclose(np.array(times) / found, np.rint(np.array(times) / found), atol=1e-6)


# ---------------------------------------------------------------------------------------------- the plasticity rule

OFFSETS = (-0.04, -0.02, -0.005, 0.0, 0.0033, 0.005, 0.01, 0.0137, 0.03)


def shares(dt, period=1.0):
    """Shares of time above both thresholds over the second of two pairs, of every offset at once."""
    pairs = [f"pairing:offset={offset} s,period={period} s,count=2,start=50 ms,elements={k}"
             for k, offset in enumerate(OFFSETS)]
    recording = simulate("graupner_brunel", pairs, options={"n": len(OFFSETS)}, duration=2.0, dt=dt)
    last = recording.time > 1 - dt / 2
    last[-1] = False  # the share of a step that is not in the period
    return [recording[name].values[last].sum(axis=0) * dt / period for name in ("above_p", "above_d")]


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.001, 0.01])
def test_the_published_curve_does_not_depend_on_the_step(monkeypatch, dt):
    """With D = 13.7 ms rounded to 14 ms the change at 0 ms had the wrong sign; at a step of 10 ms it was 1.183."""
    values = pairing_curve.numbers(MODELS["graupner_brunel_stochastic"].parameters())
    wanted = [pairing_curve.change_of_strength(values, offset, 1.0, 60) for offset in OFFSETS]
    found = dict(zip(OFFSETS, zip(*shares(dt), strict=True), strict=True))
    monkeypatch.setattr(pairing_curve, "fractions_above", lambda values, offset, period: found[offset])
    simulated = [pairing_curve.change_of_strength(values, offset, 1.0, 60) for offset in OFFSETS]
    assert simulated == pytest.approx(wanted, rel=1e-8)
    assert simulated[OFFSETS.index(0.0)] == pytest.approx(1.008, abs=5e-4) and wanted[3] > 1
