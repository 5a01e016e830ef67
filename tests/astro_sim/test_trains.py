"""Spike trains: text and objects mean the same; spikes arrive at their time; each train depends on itself alone."""

import numpy as np
import pytest

from astro_sim.plan import plan_of, prepare
from astro_sim.protocols import drive_from_dict, drives, parse
from astro_sim.protocols.trains import pairing, poisson, regular, spike_steps, spikes
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


@pytest.mark.slow
def test_crowded_poisson_spikes_move_on_and_none_is_lost():
    train = poisson("spikes", "100 hertz", "2 s", seed=0)
    recording = simulate("tripartite", train, options={"loop": "none"}, duration="2.1 s", dt="5 ms")
    assert (np.diff(recording["u_S"].values[:, 0]) > 0).sum() == pytest.approx(len(train.of(0)), abs=1)


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
    (["spikes:input=spikes,times=1s", "spikes:input=spikes,times=2s"], "share elements"),
])
def test_trains_that_do_not_fit_the_model_are_refused(protocol, says):
    with pytest.raises(UserError, match=says):
        prepare("tripartite", protocol, duration="1 s", dt="1 ms")


def test_two_given_spikes_in_a_step_are_refused():
    given = regular("spikes", "800 hertz", 3)
    with pytest.raises(UserError, match="shorter step"):
        simulate("tripartite", given, duration="0.1 s", dt="3 ms")


@pytest.mark.parametrize("dt", [1e-3, 3e-4, 7e-2])
def test_spikes_between_two_steps_stay_a_step_apart(dt):
    """Half steps, rounded to the even one, would meet in twos."""
    times = (np.arange(200) + 0.5) * dt
    plan = prepare("tripartite", spikes("spikes", times), options={"loop": "none"}, duration=201 * dt, dt=dt)
    assert spike_steps(plan.trains("terminal"), 1, dt=dt, steps=plan.steps)[1].tolist() == list(range(1, 201))
