"""Spike trains: text and objects mean the same; spikes arrive at their time; each train depends on itself alone."""

import json

import brian2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.model import Connection, Model, Observable, Population, SpikeInput, one_to_one
from astro_sim.parameter import Parameter
from astro_sim.plan import plan_of, prepare
from astro_sim.protocols import drive_from_dict, drives, parse
from astro_sim.protocols.trains import pairing, poisson, raster, regular, spike_steps, spikes
from astro_sim.run.simulation import simulate
from foundation.errors import UserError


@pytest.mark.parametrize(("text", "train"), [
    ("spikes:input=spikes,times=0.1s+250ms,elements=0-1", spikes("spikes", [0.1, "0.25 s"], [0, 1])),
    ("regular:input=spikes,rate=10 hertz,count=3,start=1s", spikes("spikes", [1.0, 1.1, 1.2])),
    ("poisson:input=spikes,rate=5 hertz,stop=60s,seed=3", poisson("spikes", "5 hertz", 60.0, seed=3)),
])
def test_text_and_object_mean_the_same(text, train):
    found = parse(text)
    assert np.allclose(found.of(0), train.of(0), rtol=1e-15) and found.elements == train.elements
    assert drive_from_dict(found.as_dict()) == found


def test_pairing_is_two_trains():
    pre, post = drives("pairing:offset=-20 ms,period=1 s,count=3")
    assert (pre.input, post.input) == ("pre", "post")
    assert post.of(0) - pre.of(0) == pytest.approx([-0.02] * 3)
    assert drives([pairing("-20 ms", count=3), "constant:input=x,value=1"])[:2] == (pre, post)


def test_poisson_trains_are_poisson_and_independent():
    train = poisson("spikes", "20 hertz", "50 s", start="10 s", seed=1)
    counts = np.array([len(train.of(k)) for k in range(200)])
    # 1000 expected in each of 200 trains: mean known to 2.2, variance over mean to 0.1
    assert counts.mean() == pytest.approx(800, abs=8) and counts.var() / counts.mean() == pytest.approx(1, abs=0.3)
    assert min(train.of(0)) >= 10 and max(train.of(0)) < 50
    others = poisson("spikes", "20 hertz", "50 s", seed=2), poisson("release", "20 hertz", "50 s", seed=1)
    assert len({train.of(0)[0], train.of(1)[0], *(other.of(0)[0] for other in others)}) == 4
    assert np.array_equal(poisson("spikes", "20 hertz", "50 s", "10 s", 1, elements=[7]).of(7), train.of(7))


@pytest.mark.slow
def test_a_spike_acts_at_its_time():
    recording = simulate("graupner_brunel", ["spikes:input=post,times=0s+7ms", "spikes:input=pre,times=3ms"],
                         duration="30 ms", dt="0.5 ms", parameters={"D": "4.5 ms"})
    jumps = np.flatnonzero(np.diff(recording["c"].values[:, 0]) > 0) + 1
    assert recording["c"].values[0, 0] == 2.0  # the record at t has the spike at t in it
    assert recording.time[jumps] == pytest.approx([0.007, 0.0075])


@given(st.floats(20, 4000), st.floats(0.1, 0.8), st.floats(0.05, 0.5), st.floats(2e-4, 2e-3), st.integers(0, 99))
def test_every_poisson_spike_is_sent_and_none_outside_its_time(rate, start, length, dt, seed):
    train = poisson("spikes", rate * brian2.hertz, start + length, start=start, seed=seed)
    elements, steps, places = spike_steps([train], 2, dt=dt, steps=int(2 / dt))
    assert np.bincount(elements, minlength=2).tolist() == [len(train.of(0)), len(train.of(1))]
    if len(steps):
        assert steps.max() * dt <= start + length + 1e-6 * dt
        assert steps.min() * dt >= min(start, np.floor((start + length) / dt) * dt) - 1e-6 * dt
        # within half a step of its time, or a step where that would be outside
        assert np.abs(np.sort(steps[elements == 0]) * dt - train.of(0)).max(initial=0) <= dt * (1 + 1e-6)
    assert len({*zip(elements, steps, places, strict=True)}) == len(elements), "each has a place of its own"


def test_spikes_that_meet_are_counted_in_order_of_their_times():
    """A regular train, single spikes and a raster of one element, added up by hand."""
    trains = [regular("spikes", "2 kHz", 4), spikes("spikes", ["0.1 ms", "3 ms"], elements=0),
              raster("spikes", indices=[1, 0, 1], times=[3e-3, 0.2e-3, 3e-3])]
    elements, steps, places = spike_steps(trains, 2, dt=1e-3, steps=3)
    # regular at 0, .5, 1, 1.5 ms: steps 0, 1, 1, 2
    found = {(e, n): [] for e in (0, 1) for n in range(4)}
    for e, n, place in zip(elements.tolist(), steps.tolist(), places.tolist(), strict=True):
        found[e, n].append(place)
    assert {key: len(value) for key, value in found.items()} == {
        (0, 0): 3, (0, 1): 2, (0, 2): 1, (0, 3): 1, (1, 0): 1, (1, 1): 2, (1, 2): 1, (1, 3): 2}
    assert all(value == list(range(len(value))) for value in found.values())


@pytest.mark.slow
def test_what_a_dense_train_lets_in_is_all_of_it():
    """IP3 that only rises: 2 kHz at a step of 1 ms, until .1 s; and what a spike adds is the same at any time."""
    train = poisson("spikes", "2 kHz", "0.1 s", seed=4)
    found = simulate("li_rinzel_driven", train, parameters={"tau_I": "1e9 s", "delta_I": "1 nM"}, options={"n": 3},
                     duration="0.15 s", dt="1 ms")["I"].values
    counts = [len(train.of(k)) for k in range(3)]
    assert (found[-1] - 0.16) / 1e-3 == pytest.approx(counts, abs=1e-3) and min(counts) > 150
    assert found[100:] == pytest.approx(found[-1] + np.zeros((51, 3)), rel=1e-9), "none after stop"


@pytest.mark.slow
def test_two_spikes_in_a_step_release_one_after_the_other():
    found = simulate("tripartite", spikes("spikes", ["0 s", "0.2 ms"]), options={"loop": "none"}, duration="1 ms",
                     dt="1 ms")
    u, x, Y = 0.0, 1.0, 0.0  # (E2.12) to (E2.14) by hand
    for _ in range(2):
        u += 0.6 * (1 - u)
        Y += 0.005 * 500e3 * u * x
        x -= u * x
    assert [found[name].values[0, 0] for name in ("u_S", "x_S", "Y_S")] == pytest.approx([u, x, Y], rel=1e-12)


def two_connections():
    """Each spike raises x by 1, and then y by x."""
    rate = Parameter(1e-9, "1/second", "decay", "Mia2026", "assumed")
    zero = Parameter(0.0, "1", "start", "Mia2026", "assumed", "any")
    pairs = one_to_one(lambda options: 2)
    return Model(
        "counts", "", (Population("source", "", "", lambda options: 2),
                       Population("cell", "", "dx/dt = -x*rate : 1\ndy/dt = -y*rate : 1", lambda options: 2)),
        {"one": {"rate": rate}}, {"x": zero, "y": zero},
        {name: Observable("cell", "1", name) for name in ("x", "y")},
        connections=(Connection("first", "source", "cell", "", "", pairs, on_pre="x_post += 1"),
                     Connection("second", "source", "cell", "", "", pairs, on_pre="y_post += x_post", order=1)),
        spike_inputs={"spikes": SpikeInput("source", "spikes")})


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "cython", "cpp"])
def test_a_spike_does_all_that_it_does_before_the_next_of_its_step(backend):
    protocol = raster("spikes", [1, 1, 1, 0, 0], [2e-3, 2.1e-3, 2.2e-3, 2e-3, 5e-3])
    found = simulate(two_connections(), protocol, duration="6 ms", dt="1 ms", backend=backend)
    assert found["x"].values[[1, 2, 6]].tolist() == pytest.approx(np.array([[0, 0], [1, 3], [2, 3]]), rel=1e-9)
    assert found["y"].values[-1] == pytest.approx([1 + 2, 1 + 2 + 3], rel=1e-9)


def test_a_raster_is_read_from_arrays_and_from_a_file(tmp_path):
    """Times in any unit, spikes in any order; the recording carries them, not the file."""
    (tmp_path / "one.csv").write_text("# from the lab\nindex,time (ms)\n2,250\n0,100.5\n2,20\n")
    found = parse(f"raster:input=spikes,file={tmp_path / 'one.csv'}")
    assert found == raster("spikes", [2, 0, 2], ["0.25 s", "100.5 ms", "20 ms"])
    assert found == raster("spikes", np.array([2, 0, 2]), [250, 100.5, 20] * brian2.ms)
    assert found.of(2).tolist() == [0.02, 0.25] and found.of(1).tolist() == [] and found.elements == (0, 2)
    plan = prepare("li_rinzel_driven", found, options={"n": 3}, duration="1 s")
    assert plan_of(json.loads(json.dumps(plan.meta()))).protocol == (found,)


@pytest.mark.parametrize(("text", "says"), [
    ("index,time\n0,1\n", "no unit; write it into the first line"), ("index,time (ms)\n0,a\n", "line 2"),
    ("index,time (ms)\n0.5,1\n", "whole numbers"), ("index,time (ms)\n0,-1\n", "before the start"),
    ("index,time (ms)\n", "no numbers"), ("index,time (uM)\n0,1\n", "wrong dimension"),
    ("a,b\n0,1\n", "call the one that is meant index"), ("index,time (ms)\n0,nan\n", "row 1.*finite"),
    ("index,time (ms)\n0,1\n0\n", "line 3"),
])
def test_a_file_that_is_no_raster_is_refused(text, says, tmp_path):
    (tmp_path / "one.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        parse(f"raster:input=spikes,file={tmp_path / 'one.csv'}")


def test_a_plan_comes_back_from_its_meta():
    plan = prepare("graupner_brunel", ["pairing:offset=5 ms,count=2", ], duration="3 s", dt="1 ms")
    assert plan_of(plan.meta()).protocol == plan.protocol
    poissonian = prepare("tripartite", "poisson:input=spikes,rate=5 hertz,stop=1s", duration="1 s", dt="1 ms")
    assert plan_of(poissonian.meta()).protocol == poissonian.protocol


@pytest.mark.parametrize(("text", "says"), [
    ("spikes:input=spikes,times=1s+1s", "do not rise"), ("spikes:input=spikes,times=-1s", "before the start"),
    ("regular:input=spikes,rate=0 hertz,count=3", "above zero"), ("regular:input=spikes,rate=1 s,count=3", "hertz"),
    ("regular:input=spikes,rate=1 hertz,count=0", "count"), ("regular:input=spikes,rate=1 hertz,count=2.5", "count"),
    ("poisson:input=spikes,rate=5 hertz,stop=1s,start=2s", "not after"),
    ("poisson:input=spikes,rate=5 hertz,stop=1s,seed=-1", "seed"),
    ("poisson:input=spikes,rate=1e9 hertz,stop=1s", "more than"),
    ("pairing:offset=-1s", "before 0 s"), ("pairing:offset=1s,period=0s", "above zero"),
])
def test_wrong_trains_are_refused(text, says):
    with pytest.raises(UserError, match=says):
        parse(text)


@pytest.mark.parametrize(("protocol", "says"), [
    ("constant:input=spikes,value=1", "choose one of: spikes, regular, poisson"),
    ("regular:input=glutamate,rate=1 hertz,count=1", "choose one of: constant"),
    ("regular:input=sikes,rate=1 hertz,count=1", "did you mean 'spikes'"),
    ("regular:input=spikes,rate=1 hertz,count=1,elements=1", "0 to 0"),
    ("raster:input=spikes,indices=3,times=0.5s", "0 to 0"),
])
def test_trains_that_do_not_fit_the_model_are_refused(protocol, says):
    with pytest.raises(UserError, match=says):
        prepare("tripartite", protocol, duration="1 s", dt="1 ms")


def test_more_spikes_in_a_step_than_can_be_are_refused_with_a_step_that_is_short_enough():
    dense = regular("spikes", "40 kHz", 200)
    with pytest.raises(UserError, match=r"40 spikes of one element .* such as dt = 0\.0004 s"):
        prepare("tripartite", dense, duration="0.1 s", dt="1 ms")
    assert prepare("tripartite", dense, duration="0.1 s", dt="0.4 ms")


@pytest.mark.parametrize("dt", [1e-3, 3e-4, 7e-2])
def test_spikes_between_two_steps_stay_a_step_apart(dt):
    """Half steps, rounded to the even one, would meet in twos."""
    times = (np.arange(200) + 0.5) * dt
    plan = prepare("tripartite", spikes("spikes", times), options={"loop": "none"}, duration=201 * dt, dt=dt)
    assert spike_steps(plan.trains("terminal"), 1, dt=dt, steps=plan.steps)[1].tolist() == list(range(1, 201))
