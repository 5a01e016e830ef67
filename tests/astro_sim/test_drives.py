"""Drives that move smoothly, samples, and sums: against closed forms and SciPy, in order, from text and from arrays."""

import itertools
import json

import brian2
import numpy as np
import pytest
from scipy.integrate import fixed_quad, solve_ivp
from scipy.interpolate import CubicSpline

from astro_sim.models import MODELS
from astro_sim.plan import WithoutEffect, plan_of, prepare
from astro_sim.protocols import (
    alpha,
    constant,
    cycles,
    exponential,
    expression,
    parse,
    poisson,
    ramp,
    samples,
    sine,
    square,
    steps,
)
from astro_sim.protocols.course import seeing_step
from astro_sim.protocols.curve import Curve
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import simulate
from astro_sim.run.sweeps import sweep
from foundation.errors import UserError

TIMES = np.array([0.0, 0.3, 1.7, 2.0, 2.9, 3.0, 5.21, 6.999, 7.0, 11.3])
AT = TIMES >= 2
IN = AT & (TIMES < 7)
KINDS = [
    ("exponential:input=ip3,high=0.9 µM,tau=400ms,start=2s,low=100nM", exponential("ip3", "0.9 uM", 0.4, 2, "0.1 uM"),
     np.where(AT, 0.1 + 0.8 * np.exp(-(TIMES - 2) / 0.4), 0.1)),
    ("alpha:input=ip3,high=0.9 uM,tau=1.5s,start=2s", alpha("ip3", 900 * brian2.nmolar, "1500 ms", "2 s"),
     np.where(AT, 0.9 * (TIMES - 2) / 1.5 * np.exp(1 - (TIMES - 2) / 1.5), 0)),
    ("sine:input=ip3,mean=0.4uM,amplitude=0.1uM,period=0.05min,phase=0.5,start=2s,stop=7s",
     sine("ip3", "0.4 uM", "0.1 uM", "3 s", 0.5, start="2 s", stop="7 s"),
     np.where(IN, 0.4 + 0.1 * np.sin(2 * np.pi * (TIMES - 2) / 3 + 0.5), 0.4)),
    ("expression:input=ip3,value=0.3 uM + 0.2*uM*tanh(t/(4 s))**2/(1 + t/(1*min)),start=2s,stop=7s,outside=0.05uM",
     expression("ip3", "0.3 uM + 0.2*uM*tanh(t/(4 s))**2/(1 + t/(1*min))", 2.0, 7.0, "50 nM"),
     np.where(IN, 0.3 + 0.2 * np.tanh(TIMES / 4) ** 2 / (1 + TIMES / 60), 0.05)),
    ("samples:input=ip3,values=100nM+500nM+300nM,dt=2.5s,start=1s",
     samples("ip3", np.array([0.1, 0.5, 0.3]) * brian2.umolar, dt="2.5 s", start=1),
     np.interp(TIMES, [1, 3.5, 6], [0.1, 0.5, 0.3])),
    ("samples:input=ip3,values=0.1uM+0.5uM+0.3uM,times=1s+3s+7s,interpolation=previous",
     samples("ip3", [0.1, 0.5, 0.3], unit="uM", times=[1, 3, 7], interpolation="previous"),
     np.array([0.1, 0.5, 0.3])[np.maximum(0, np.searchsorted([1, 3, 7], TIMES, side="right") - 1)]),
    ("samples:input=ip3,values=0.1uM+0.5uM+0.3uM+0.2uM,times=1s+3s+6s+7s,interpolation=cubic",
     samples("ip3", np.array([1e-4, 5e-4, 3e-4, 2e-4]), unit="mM", times=[1, 3, 6, 7], interpolation="cubic"),
     CubicSpline([1, 3, 6, 7], [0.1, 0.5, 0.3, 0.2])(np.clip(TIMES, 1, 7))),
]


@pytest.mark.parametrize(("text", "drive", "wanted"), KINDS, ids=[text.partition(",")[0] for text, _, _ in KINDS])
def test_a_drive_from_text_and_from_python_is_its_closed_form(text, drive, wanted):
    for one in (parse(text), drive):
        assert Curve.of([one], "umolar").at(TIMES) == pytest.approx(wanted, rel=1e-12, abs=1e-15)


@pytest.mark.filterwarnings("ignore::foundation.notes.Note")
@pytest.mark.parametrize("drive", [drive for _, drive, _ in KINDS], ids=[drive.kind for _, drive, _ in KINDS])
def test_a_drive_comes_back_from_a_recordings_meta(drive):
    plan = prepare("li_rinzel", drive, duration="9 s", dt="10 ms")
    again = plan_of(json.loads(json.dumps(plan.meta())))
    assert again.protocol == plan.protocol
    assert np.array_equal(again.inputs["astrocyte", "I"].at(TIMES), plan.inputs["astrocyte", "I"].at(TIMES))


def course(drives, duration="12 s", dt="10 ms", **settings):
    return prepare("macro", drives, duration=duration, dt=dt, **settings).inputs["process", "d"]


def test_drives_of_an_input_add_up_and_the_default_holds_where_there_is_none():
    drives = [constant("d", 1.5, elements=[0, 1]), square("d", 2, 1, 3, elements="1-3"), ramp("d", [0, 4], [0, 8], [1]),
              square("d", -0.5, 2, 5, elements=[3, 1]), sine("d", 0, 1, "8 s", elements=[1, 4])]
    found = course(drives).at(np.array([0.5, 2.5, 4.5, 6.0]))
    wave = np.sin(2 * np.pi * np.array([0.5, 2.5, 4.5, 6.0]) / 8)
    assert found[:, 0] == pytest.approx([1.5] * 4) and found[:, 2] == pytest.approx([0, 2, 0, 0])
    assert found[:, 1] == pytest.approx(np.array([2.5, 8.0, 9.0, 9.5]) + wave)
    assert found[:, 3] == pytest.approx([0, 1.5, -0.5, 0]) and found[:, 4] == pytest.approx(wave)
    assert (found[:, 5:] == 0).all()


def test_pulses_in_turn_are_pulses_in_turn():
    """Each returns to nothing: the sum is one after the other, edges exact."""
    found = course([square("d", 1, 1, 2), square("d", 3, 2, 2.5), cycles("d", 2, 1, 0.25, 2, start=4)])
    both = course(steps("d", [0, 1, 2, 2.5, 4, 4.25, 5, 5.25], [0, 1, 3, 0, 2, 0, 2, 0]))
    assert found.drives[0].pieces.values.tolist() == both.drives[0].pieces.values.tolist()
    assert found.corners.tolist() == both.corners.tolist() == [1, 2, 2.5, 4, 4.25, 5, 5.25]


def test_corners_are_the_ends_of_what_is_smooth_too():
    found = course([alpha("d", 2, 1, 1.003), sine("d", 0, 1, 5, stop=9), ramp("d", [0, 2], [0, 1])])
    assert found.corners.tolist() == [1.003, 2.0, 9.0]
    smooth = samples("d", np.sin(np.arange(20)), dt=0.5, interpolation="cubic")
    assert course(smooth, duration=9.5).corners.tolist() == [9.5]


def test_means_of_smooth_drives_are_integrals():
    """Against quadrature between the corners, steps that have one inside among them."""
    curve = Curve.of([alpha("d", 2, 0.4, 1.003), sine("d", 0, 1, 5, stop=2.22), square("d", 1, 0.512, 0.77)], "1")
    edges = 0.07 * np.arange(13, 33)
    corners = [np.unique([low, *curve.breaks[(curve.breaks > low) & (curve.breaks < high)], high])
               for low, high in itertools.pairwise(edges)]
    wanted = [sum(fixed_quad(curve.at, a, b, n=12)[0] for a, b in itertools.pairwise(parts)) / 0.07
              for parts in corners]
    assert curve.means(edges) == pytest.approx(wanted, abs=1e-11)


@pytest.mark.parametrize(("text", "says"), [
    ("__import__('os')", "cannot be read|none of its functions"), ("t.real", "not allowed"),
    ("(lambda: 1)()", "not allowed"),
    ("[1][0]", "not allowed"), ("abs(t)", "has abs, which has corners"), ("t > 3*s", "condition"),
    ("", "cannot be read"),
    ("0.4*furlong", "has furlong"), ("0.4*uM if t else 0", "condition"), ("clip(t, 0, 1)", "clip, which has corners"),
    ("sin(t", "cannot be read"), ("exp(t, t)", "none of its functions|not allowed"), ("'a'", "not allowed"),
    ("1" * 600, "cannot be read"), (None, "cannot be read"),
])
def test_an_expression_that_is_no_smooth_one_is_refused(text, says):
    with pytest.raises(UserError, match=says):
        expression("ip3", text)


@pytest.mark.parametrize(("drive", "says"), [
    (expression("ip3", "0.4"), "has no unit; give a value in umolar"),
    (expression("ip3", "0.4*uM*sin(t)"), "dimension"), (expression("ip3", "0.4*uM + t"), "units do not match"),
    (expression("ip3", "uM*2**t"), "ip3: 'uM.2..t'"), (expression("ip3", "uM/0"), "is not finite at 0 s"),
    (expression("ip3", "0**uM"), "cannot be computed; look at its exponents"),
    (expression("ip3", "0.4*mV"), "another dimension"), (expression("ip3", "0.1*uM*s/t"), "not finite at 0 s"),
    (expression("ip3", "0.1*uM*sin(2*pi*t/(5*s))"), "is not allowed; 'IP3 concentration' must be zero or above"),
    ([constant("ip3", "0.3 uM"), sine("ip3", "0.1 uM", "0.5 uM", "5 s")], r"is not allowed \(drives .* add up\)"),
    (sine("ip3", "0.3 uM", "0.1 uM", "20 ms"), "moves at .* too much for a step of 0.01 s; give a shorter step"),
    (sine("ip3", "0.3 uM", "0.1 uM", "10 ms"), "moves at"), (sine("ip3", "0.3 uM", "0.1 uM", "5 ms"), "moves at"),
    (alpha("ip3", "0.3 uM", "1 ms"), "moves at"), (exponential("ip3", "1 uM", "2 ms", start=0.5), "moves at"),
    (samples("ip3", [0.1, 0.2, 0.4], unit="uM", dt="4 ms"), "longer than a piece of the protocol .0.004 s of samples"),
    (sine("ip3", "0.3", "0.1 uM", "5 s"), "dimension"), (alpha("ip3", "1 s", "1 s"), "dimension"),
])
def test_a_drive_that_does_not_fit_its_input_or_its_steps_is_refused(drive, says):
    with pytest.raises(UserError, match=says):
        prepare("li_rinzel", drive, duration="10 s", dt="10 ms", method="rk4")


@pytest.mark.parametrize(("given", "says"), [
    ({"values": [1, 2]}, "say when they are"), ({"values": [1, 2], "dt": 1, "times": [0, 1]}, "once"),
    ({"values": [1, 2], "times": [1, 1]}, "not later"), ({"values": [1.0], "dt": 1}, "from 2 to"),
    ({"values": [1, np.nan], "dt": 1}, "sample 1 is not finite"), ({"values": np.zeros((2, 2, 2)), "dt": 1}, "shape"),
    ({}, "one of the two"), ({"values": [1, 2], "dt": 1, "interpolation": "spline"}, "unknown interpolation 'spline'"),
    ({"values": np.zeros((3, 2)), "dt": 1, "elements": [1]}, "1 for 2 columns"),
    ({"file": "none.csv", "dt": 1}, "file"),
])
def test_samples_that_cannot_be_are_refused(given, says):
    with pytest.raises(UserError, match=says):
        samples("d", **given)


@pytest.mark.parametrize("values", [np.array([0.1, 0.2]), ["0.1 uM", "0.2 uM"], [1, 2] * brian2.umolar])
def test_several_values_of_one_drive_are_refused_in_words(values):
    with pytest.raises(UserError, match="several values; give one drive for each"):
        constant("ip3", values)


def test_samples_come_from_files(tmp_path):
    """With or without a header, times in the file or dt, a column an element; what is kept needs no file."""
    wanted = samples("ip3", [0.1, 0.25, 0.2], unit="uM", times=[0, 0.5, 1.5])
    (tmp_path / "a.csv").write_text("time (ms),ip3 (uM)\n0,0.1\n500,0.25\n1500,0.2\n")
    (tmp_path / "b.csv").write_text("other [V];ip3 [µM];time [s]\n9;0.1;0\n9;.25;5e-1\n9;0.2;1.5\n", "utf-8")
    (tmp_path / "c.txt").write_text("# no head\n0.1\n0.25\n\n0.2\n")
    np.save(tmp_path / "d.npy", np.array([[0.1, 0.3], [0.25, 0.4], [0.2, 0.6]]))
    for name in ("a.csv", "b.csv"):
        found = samples("ip3", file=tmp_path / name)
        assert Curve.of([found], "umolar").at(TIMES) == pytest.approx(Curve.of([wanted], "umolar").at(TIMES), rel=1e-12)
    found = parse(f"samples:input=ip3,file={tmp_path / 'c.txt'},unit=uM,dt=1s,interpolation=previous")
    assert (found.times, found.values, found.unit) == ((0, 1, 2), (0.1, 0.25, 0.2), "uM")
    each = samples("glutamate", file=tmp_path / "d.npy", unit="uM", dt="2 s")
    plan = prepare("gchi", [each], options={"n": 2}, duration="4 s", dt="10 ms")
    assert plan.inputs["astrocyte", "glutamate"].at(np.array([3.0]))[0] == pytest.approx([0.225, 0.5])
    (tmp_path / "d.npy").unlink()
    assert plan_of(json.loads(json.dumps(plan.meta()))).protocol == plan.protocol


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read"):
        samples("ip3", file=tmp_path / "a.npy", unit="uM", dt=1)


# ---------------------------------------------------------------------------------------------- without effect


@pytest.mark.parametrize("protocol", [
    "square:input=glutamate,high=3uM,start=100s,stop=101s", "square:input=glutamate,high=3uM,start=1s,stop=2s",
    "cycles:input=glutamate,high=3uM,period=1s,start=5s", "alpha:input=glutamate,high=3uM,tau=1s,start=2s",
    "expression:input=glutamate,value=3*uM,start=1s", "samples:input=glutamate,values=1uM+3uM,times=4s+6s",
    "spikes:input=spikes,times=70s", "regular:input=spikes,rate=1Hz,count=9,start=1.2s",
    "raster:input=spikes,indices=0,times=3s", "poisson:input=spikes,rate=9Hz,start=2s,stop=8s"])
def test_a_stimulus_after_the_end_is_refused(protocol):
    model, options = ("gchi", {}) if "glutamate" in protocol else ("tripartite", {"loop": "none"})
    with pytest.raises(UserError, match=r"begins at .* and the run ends at 1 s; give a longer duration"):
        prepare(model, protocol, options=options, duration="1 s", dt="1 ms")


@pytest.mark.parametrize(("protocol", "says"), [
    ("square:input=glutamate,high=3uM,start=0.5s,stop=2s", "goes on until 2 s, and the run ends at 1 s"),
    ("cycles:input=glutamate,high=3uM,period=0.3s,count=6", "goes on until 1.65 s"),
    ("steps:input=glutamate,times=0s+3s,values=1uM+3uM", "goes on until 3 s"),
    ("ramp:input=glutamate,times=0s+3s,values=1uM+3uM", "goes on until 3 s"),
    ("sine:input=glutamate,mean=3uM,amplitude=1uM,period=1s,stop=2s", "goes on until 2 s"),
    ("samples:input=glutamate,values=1uM+3uM,dt=2s", "has samples until 2 s"),
    ("samples:input=glutamate,values=1uM+3uM,dt=0.4s", "the last is at 0.4 s; its value holds until the end"),
    ("square:input=glutamate,high=2uM,low=2uM,stop=0.1s", "2 umolar is its default, so it changes nothing"),
    ("steps:input=glutamate,times=0s+0.5s,values=2uM+2000nM", "changes nothing"),
    ("regular:input=spikes,rate=5Hz,count=9", "3 of its 9 spikes come later"),
    ("poisson:input=spikes,rate=5Hz,stop=3s", "goes on until 3 s"),
    ("poisson:input=spikes,rate=0.001Hz,stop=1s,seed=7", "with seed 7 it has no spike in this run"),
])
def test_a_stimulus_that_is_partly_after_the_end_or_changes_nothing_is_said(protocol, says):
    model, options = ("gchi", {}) if "glutamate" in protocol else ("tripartite", {"loop": "none"})
    with pytest.warns(WithoutEffect, match=says):
        plan = prepare(model, protocol, options=options, duration="1 s", dt="1 ms")
    assert plan_of(plan.meta()).protocol == plan.protocol, "a recording of it is read without a word"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("protocol", [
    "square:input=glutamate,high=3uM,start=0.5s,stop=1s", "constant:input=glutamate,value=0uM",
    "constant:input=glutamate,value=2uM",
    ["constant:input=glutamate,value=2uM", "square:input=glutamate,high=1uM,start=0.1s,stop=0.2s"],
    "steps:input=glutamate,times=0s+0.5s,values=2uM+1uM", "sine:input=glutamate,mean=2uM,amplitude=1uM,period=1s",
    "spikes:input=spikes,times=1s", "poisson:input=spikes,rate=80Hz,stop=1s"])
def test_a_stimulus_with_an_effect_goes_without_a_word(protocol):
    model, options = ("gchi", {}) if "glutamate" in str(protocol) else ("tripartite", {"loop": "none"})
    prepare(model, protocol, options=options, duration="1 s", dt="1 ms")


# ---------------------------------------------------------------------------------------------- integrated


def rates(t, state, ip3):
    """Li and Rinzel, set AM, in uM and s."""
    C, h = state
    gate, q2, er = ip3 / (ip3 + 0.13) * C / (C + 0.08234), 1.049 * (ip3 + 0.13) / (ip3 + 0.9434), 2 - 1.185 * C
    return [(6 * (gate * h) ** 3 + 0.11) * er - 0.9 * C * C / (C * C + 0.01), 0.2 * (q2 - (q2 + C) * h)]


def ip3_of(t):
    """A sine until 4.013 s, an alpha pulse from 2.5037 s, a jump at 1.1113 s and a constant."""
    return (0.1 + (0.05 + 0.04 * np.sin(2 * np.pi * t / 1.7) if t < 4.013 else 0.05) + (0.1 if t >= 1.1113 else 0.0)
            + (0.2 * (t - 2.5037) / 0.6 * np.exp(1 - (t - 2.5037) / 0.6) if t >= 2.5037 else 0.0))


DRIVES = [constant("ip3", "0.1 uM"), sine("ip3", "50 nM", "40 nM", "1.7 s", stop="4.013 s"),
          alpha("ip3", "0.2 uM", "0.6 s", "2.5037 s"), steps("ip3", [0, "1.1113 s"], ["0 uM", "0.1 uM"])]


def reference():
    state, corners = [0.09, 0.78], [0.0, 1.1113, 2.5037, 4.013, 6.0]
    for low, high in itertools.pairwise(corners):
        # the corner itself belongs to what follows: stay on this side of it
        state = solve_ivp(lambda t, y, high=high: rates(t, y, ip3_of(min(t, np.nextafter(high, 0)))), (low, high),
                          state, "DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    return state


@pytest.mark.slow
@pytest.mark.parametrize(("method", "order", "widths"), [("rk4", 4, (0.1, 0.05, 0.025)), ("rk2", 2, (0.04, 0.02, 0.01)),
                                                        ("euler", 1, (0.02, 0.01, 0.005))])
def test_the_integrators_keep_their_order_with_smooth_drives_and_edges_inside_steps(method, order, widths):
    wanted = reference()
    errors = [abs(simulate("li_rinzel", DRIVES, duration="6 s", dt=dt, method=method)["C"].values[-1, 0] - wanted[0])
              for dt in widths]
    assert np.polyfit(np.log(widths), np.log(errors), 1)[0] == pytest.approx(order, abs=0.3), errors
    assert method != "rk4" or errors[-1] < 1e-7 * wanted[0], errors


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cython", "cpp"])
def test_smooth_drives_are_the_same_on_every_backend(backend):
    found = [simulate("li_rinzel", DRIVES, duration="6 s", dt="50 ms", method="rk4", backend=one)["C"].values
             for one in ("numpy", backend)]
    assert found[1] == pytest.approx(found[0], rel=1e-11)


@pytest.mark.parametrize(("drive", "shortest", "longest"), [
    (sine("d", 0, 1, "10 s"), 0.3, 1.5), (sine("d", 0, 1, "1 s"), 0.03, 0.15),
    (expression("d", "exp(-((t - 30.3*s)/(0.2*s))**2)"), 0.02, 0.1),
    ([sine("d", 0, 1, "10 s"), alpha("d", 1, "50 ms", "7.003 s")], 0.005, 0.03)])
def test_the_longest_step_of_a_solver_sees_what_moves(drive, shortest, longest):
    """A share of the period, or of the width of a pulse, whatever the step of the records."""
    for dt in (1e-3, 4e-3):
        plan = prepare("macro", drive, duration="60 s", dt=dt)
        assert shortest < seeing_step(plan.inputs["process", "d"], dt, plan.steps) < longest


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lsoda", "bdf"])
def test_a_short_pulse_between_two_records_is_not_stepped_over(method):
    """At rest a solver takes long steps, the longer the looser its tolerance."""
    pulse = expression("ip3", "0.1*uM + 0.6*uM*exp(-((t - 40.3*s)/(0.1*s))**2)")
    given = {"duration": "45 s", "initial": {"C": "0.05 uM", "h": "0.9"}, "record_every": "1 s"}
    wanted = simulate("li_rinzel", pulse, dt="20 ms", method="rk4", **given)["C"].values[-4:]
    found = simulate("li_rinzel", pulse, dt="20 ms", method=method, rtol=1e-5, atol=1e-8, **given)["C"].values[-4:]
    assert np.abs(found - wanted).max() < 1e-3 * np.ptp(wanted)


@pytest.mark.slow
def test_one_program_runs_other_courses(tmp_path):
    """Compiled once for a sine, a ramp with a corner inside a step, and a level: each as it is with NumPy."""
    protocols = [sine("ip3", "0.4 uM", "0.1 uM", "2 s"), ramp("ip3", [0, "1.2345 s"], ["0.2 uM", "0.6 uM"]),
                 [constant("ip3", "0.3 uM"), alpha("ip3", "0.2 uM", "0.3 s", "0.5031 s")], constant("ip3", "0.3 uM")]
    given = {"model": "li_rinzel", "duration": "2 s", "dt": "20 ms", "method": "rk4"}
    outcome = sweep([{**given, "protocol": one, "backend": "cpp"} for one in protocols], tmp_path / "cpp", workers=1)
    assert len(outcome.done) == len(protocols), outcome.failed
    assert not list((tmp_path / "cpp").glob(".program_*"))
    found = {json.dumps(one.meta["protocol"], sort_keys=True): one for one in map(Recording.load, outcome.done)}
    for protocol in protocols:
        alone = simulate(protocol=protocol, **given)
        compiled = found[json.dumps(alone.meta["protocol"], sort_keys=True)]
        assert compiled["C"].values == pytest.approx(alone["C"].values, rel=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "options"), [
    ("tripartite", {"n_synapses": 4, "n_astrocytes": 2, "loop": "closed"}), ("graupner_brunel", {"n": 3}),
    ("neuron_glia_network", {"n_excitatory": 6, "n_inhibitory": 2, "n_rows": 1, "n_columns": 2,
                             "p_excitatory": 0.5})])
def test_dense_spikes_run_in_every_model_that_takes_them(model, options):
    name = next(iter(MODELS[model].spike_inputs))
    found = simulate(model, [poisson(name, "900 Hz", "20 ms", seed=2), poisson(name, "600 Hz", "30 ms", seed=3)],
                     options=options, duration="40 ms", dt="1 ms")
    assert all(np.isfinite(series.values).all() for series in found.variables.values())
