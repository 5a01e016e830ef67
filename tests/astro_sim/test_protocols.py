"""Protocols: text and objects mean the same; means over steps are exact; wrong ones are refused before a run."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from astro_sim.plan import prepare
from astro_sim.protocols import (
    PROTOCOLS,
    about,
    about_text,
    constant,
    cycles,
    drive_from_dict,
    drives,
    parse,
    ramp,
    square,
    steps,
)
from astro_sim.protocols.curve import Curve
from astro_sim.protocols.text import chosen_elements, joined_elements
from astro_sim.run.simulation import simulate
from foundation.errors import UserError


@pytest.mark.parametrize(("text", "drive"), [
    ("constant:input=ip3,value=0.5 umolar", constant("ip3", "0.5 umolar")),
    ("cycles:input=b_pre,high=1,period=11.5s,duty=0.5,count=6", cycles("b_pre", "1", "11.5 s")),
    ("square: input=d, high=2, start=1 s, stop=1500 ms, elements=0+4-6",
     square("d", "2", 1.0, 1.5, elements=[0, 4, 5, 6])),
    ("steps:input=ip3,times=0s+10s,values=.1uM+.2uM", steps("ip3", [0, 10], [".1uM", ".2uM"])),
    ("ramp:input=ip3,times=0s+1e1s,values=.1uM+2e-1uM,elements=3", ramp("ip3", [0, 10], [".1uM", "2e-1uM"], [3])),
])
def test_text_and_object_mean_the_same(text, drive):
    assert parse(text) == drive
    assert drive_from_dict(drive.as_dict()) == drive


def test_cycles_are_high_then_low():
    drive = cycles("ip3", "0.6 uM", "10 s", duty=0.25, count=2, low="0.1 uM", start="5 s")
    assert drive.times == (0.0, 5.0, 7.5, 15.0, 17.5)
    assert drive.values == ("0.1 uM", "0.6 uM", "0.1 uM", "0.6 uM", "0.1 uM")


@pytest.mark.parametrize(("text", "says"), [
    ("sinus:input=b", "unknown protocol 'sinus'.*constant, cycles, .*ramp, .*square, steps"),
    ("cycles:input=b_pre,high=1", "period missing"), ("cycles:input=b_pre,hihg=1", "did you mean 'high'"),
    ("cycles:input=b_pre,high", "not one name=value"), ("constant:input=d,value=1,value=2", "not one name=value"),
    ("cycles:input=b_pre,high=1,period=0s", "above zero"), ("cycles:input=b_pre,high=1,period=2", "no unit"),
    ("cycles:input=b_pre,high=1,period=2s,duty=1", "duty"), ("cycles:input=b_pre,high=1,period=2s,count=1.5", "count"),
    ("cycles:input=b_pre,high=nan,period=2s", "not a number"), ("square:input=d,high=1,start=2s,stop=1s", "not after"),
    ("steps:input=d,times=1s+2s,values=1+2", "rise from 0 s"), ("steps:input=d,times=0s+2s,values=1", "1 values for 2"),
    ("ramp:input=d,times=0s,values=1", "a ramp goes from one time to another"),
    ("ramp:input=d,times=0s+nans,values=1+2", "times: 'nans' is not a number"),
    ("ramp:input=d,times=0s+1s+1s,values=1+2+3", "do not rise"),
    ("ramp:input=d,times=0s+1s,values=1", "1 values for 2"),
    ("ramp:input=d,times=0s+1s,values=1+inf", "not a number"), ("ramp:times=0s+1s,values=1+2", "input missing"),
    ("constant:input=d,value=1,elements=a", "elements"), ("", "unknown protocol"),
])
def test_wrong_text_is_refused(text, says):
    with pytest.raises(UserError, match=says):
        parse(text)


@pytest.mark.parametrize(("model", "protocol", "says"), [
    ("macro", "constant:input=ip3,value=1", "unknown input of macro 'ip3'.*b_pre"),
    ("li_rinzel", "constant:input=ip3,value=0.5", "no unit"),
    ("macro", "constant:input=d,value=0.5 s", "pure number"),
    ("macro", "constant:input=d,value=1,elements=9", "0 to 8"),
    ("macro", 3.0, "protocol"), ("macro", [None], "protocol"),
])
def test_a_protocol_that_does_not_fit_the_model_is_refused(model, protocol, says):
    with pytest.raises(UserError, match=says):
        prepare(model, protocol, duration="1 s", dt="1 ms")


def test_a_piece_shorter_than_a_fixed_step_is_refused():
    """A solver with error control starts anew at its edges: dt is then the distance of the records alone."""
    short = cycles("d", 1, "1 ms", count=3)
    with pytest.raises(UserError, match="longer than a piece"):
        prepare("macro", short, duration="1 s", dt="1 ms", method="rk4")
    assert prepare("macro", short, duration="1 s", dt="1 ms").adaptive


@given(st.lists(st.tuples(st.floats(0.013, 2), st.floats(-3, 3)), min_size=2, max_size=6), st.floats(3e-3, 0.4),
       st.booleans())
def test_means_of_ramps_and_steps_are_exact(pieces, dt, straight):
    """Against quadrature, split at the corners, of a course written anew."""
    times = np.concatenate([[0.0], np.cumsum([gap for gap, _ in pieces[1:]])])
    values = [value for _, value in pieces]
    drive = (ramp if straight else steps)("d", times.tolist(), values)
    edges = dt * np.arange(int((times[-1] + 1) / dt) + 2)
    at = np.unique(np.concatenate([edges, times[times < edges[-1]]]))
    middle = (at[1:] + at[:-1]) / 2  # of a piece without a corner: its value there is its mean
    course = np.interp(middle, times, values) if straight else np.array(values)[
        np.searchsorted(times, middle, side="right") - 1]
    wanted = np.add.reduceat(course * np.diff(at), np.searchsorted(at, edges[:-1] - 1e-12)) / dt
    # sums of some hundred numbers of size 3, and times that differ by rounding, over a step
    assert Curve.of([drive], "1").means(edges) == pytest.approx(wanted, abs=1e-10 / dt)


@pytest.mark.slow
def test_a_ramp_keeps_the_order_of_rk4():
    def rates(t, state):
        c, h = state
        ip3 = np.interp(t, [0, 5.037, 8], [0.2, 0.6, 0.3])
        gate, q2 = ip3 / (ip3 + 0.13) * c / (c + 0.08234), 1.049 * (ip3 + 0.13) / (ip3 + 0.9434)
        er = 2 - 1.185 * c
        return [(6 * (gate * h)**3 + 0.11) * er - 0.9 * c * c / (c * c + 0.01), 0.2 * (q2 - (q2 + c) * h)]

    wanted = solve_ivp(rates, (0, 8), [0.09, 0.78], "DOP853", max_step=0.05, rtol=1e-11, atol=1e-13).y[:, -1]
    errors, widths = [], (0.1, 0.05, 0.025)
    for dt in widths:
        found = simulate("li_rinzel", "ramp:input=ip3,times=0s+5.037s+8s,values=.2uM+.6uM+.3uM", duration="8 s", dt=dt,
                         method="rk4")
        errors.append(abs(found["C"].values[-1, 0] - wanted[0]))
    assert np.polyfit(np.log(widths), np.log(errors), 1)[0] == pytest.approx(4, abs=0.25), errors
    assert errors[-1] < 1e-7 * wanted[0]


def test_every_kind_is_told_with_an_example_that_is_read():
    told = about()
    assert set(told) == set(PROTOCOLS)
    for kind, entry in told.items():
        assert entry["does"] and parse(entry["example"]), kind
        assert set(entry["required"]) <= set(entry["arguments"])
        assert entry["example"] in about_text() and entry["does"] in about_text()


@given(st.floats(0.05, 0.95), st.floats(0.3, 2.0), st.integers(1, 5), st.floats(1e-3, 0.02), st.floats(0, 3))
def test_means_over_steps_keep_the_integral(duty, period, count, dt, low):
    drive = cycles("d", 4.0, period, duty=duty, count=count, low=low)
    edges = dt * np.arange(int(count * period / dt) + 2)
    means = Curve.of([drive], "1").means(edges)
    assert means.min() >= low - 1e-9 or means.min() >= 4 - 1e-9
    until = edges[-1]
    driven = sum(np.clip(until - n * period, 0, duty * period) for n in range(count))
    # trapezoids of a course of size 4 over some seconds: rounding only
    assert means.sum() * dt == pytest.approx(4 * driven + low * (until - driven), rel=1e-9)


def test_corners_are_where_value_or_slope_jumps():
    """A step that changes nothing is none, nor is a ramp that goes on as it did."""
    flat = steps("d", [0, 1, 2, 3], [1, 1, 4, 4])
    straight = ramp("d", [0, 0.3, 0.7, 1.5], [0.1, 0.13, 0.17, 0.25])
    assert Curve.of([flat], "1").corners.tolist() == [2.0]
    assert Curve.of([straight], "1").corners.tolist() == [1.5]
    plan = prepare("macro", ["square:input=d,high=1,start=1s,stop=3s,elements=0",
                             "ramp:input=d,times=0s+2s,values=0+1,elements=1-3"], duration="4 s", dt="10 ms")
    assert plan.inputs["process", "d"].corners.tolist() == [1.0, 2.0, 3.0]


def test_steps_inside_a_piece_are_exact():
    means = Curve.of([constant("d", 0.3)], "1").means(0.1 * np.arange(5))
    assert (means == 0.3).all()
    means = Curve.of([square("d", 0.7, 0.1, 0.3)], "1").means(0.1 * np.arange(7))
    assert means.tolist() == [0.0, 0.7, 0.7, 0.0, 0.0, 0.0]


def test_inputs_reach_their_elements_only():
    plan = prepare("macro", ["constant:input=b_post,value=2,elements=1", "constant:input=d,value=-1"], duration="1 s")
    bias, drive = plan.inputs["neuron", "b"], plan.inputs["process", "d"]
    assert bias.held.tolist() == [0, 0, 0, 0, 2, 0]
    assert (drive.means(plan.edges).shape, drive.which.shape) == ((1001, 1), (9,))  # equal elements share one course
    assert (drive.held == -1).all()


def test_inputs_are_resolved_once_and_carried_by_the_plan():
    """Elements, unit and values of a drive in another unit; what no drive reaches keeps the default."""
    moving = "ramp:input=ip3_source,times=0s+2s,values=0nM+500nM,elements=1"
    plan = prepare("astrocyte_network", moving, options={"n_columns": 3}, duration="4 s", dt="10 ms")
    course = plan.inputs["astrocyte", "ip3_source"]
    assert (course.unit, course.held) == ("umolar", None)
    default = plan.model.inputs["ip3_source"].default
    assert course.at(np.array([1.0, 3.0])) == pytest.approx(np.array([[default, 0.25, default],
                                                                      [default, 0.5, default]]), rel=1e-12)
    assert course.drives[course.which[1]].moving() == [(0.0, 2.0)]
    assert set(plan.courses("astrocyte")) == {i.variable for i in plan.model.inputs.values()}
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_a_plan_of_a_million_elements_is_cheap():
    """A few arrays of 8 MB, no object an element."""
    tracemalloc.start()
    plan = prepare("gchi", "constant:input=glutamate,value=1 uM,elements=5", options={"n": 1_000_000}, duration="1 s")
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.inputs["astrocyte", "glutamate"].which.sum() == 1
    assert kept < 20e6 and peak < 60e6


@given(st.sets(st.integers(0, 300), min_size=1))
def test_elements_as_text_are_read_back(elements):
    assert chosen_elements(joined_elements(sorted(elements))) == tuple(sorted(elements))


@pytest.mark.slow
def test_a_course_that_changes_is_the_same_as_its_pieces_run_one_after_the_other():
    whole = simulate("li_rinzel", "steps:input=ip3,times=0s+2s,values=.2uM+.6uM", duration="4 s", dt="10 ms")
    first = simulate("li_rinzel", "constant:input=ip3,value=.2uM", duration="2 s", dt="10 ms")
    state = {name: (first[name].values[-1], first[name].unit) for name in ("C", "h")}
    second = simulate("li_rinzel", "constant:input=ip3,value=.6uM", duration="2 s", dt="10 ms", initial=state)
    for name in ("C", "h"):
        joined = np.concatenate([first[name].values[:-1], second[name].values])
        assert whole[name].values == pytest.approx(joined, rel=1e-12)


def test_nothing_and_several_drives():
    assert drives(None) == ()
    assert len(drives(["constant:input=d,value=1,elements=0", constant("d", 2, elements=[1])])) == 2
