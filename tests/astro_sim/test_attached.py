"""A user's own Brian2 groups and an astrocyte of ours: against one model that has both, and against protocols."""

import brian2
import numpy as np
import pytest
from brian2 import ms, second, umolar

from astro_sim.model import Connection, Input, Model, Observable, Pairs, Population
from astro_sim.models.li_rinzel import DRIVEN, DRIVEN_MODEL, EQUATIONS
from astro_sim.parameter import Parameter
from astro_sim.protocols import constant, ramp, spikes
from astro_sim.run.attached import attach
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

NEURON = "dv/dt = (drive + gain*calcium - v)/tau : 1\n"
DRIVES = (1.5, 0.2)  # the first neuron spikes by itself, the second where calcium lets it
SENSED = [0, 1]


@pytest.fixture(autouse=True)
def plain_brian2():
    """NumPy and a step of 2 ms, and what was set before afterwards."""
    before = brian2.prefs.codegen.target, brian2.defaultclock.dt
    brian2.prefs.codegen.target, brian2.defaultclock.dt = "numpy", 2 * ms
    yield
    brian2.prefs.codegen.target, brian2.defaultclock.dt = before


def neurons():
    """The user's own: two neurons that calcium excites."""
    group = brian2.NeuronGroup(2, NEURON + "calcium : mmolar (linked)\ndrive : 1 (constant)", threshold="v > 1",
                               reset="v = 0", method="rk4",
                               namespace={"tau": 100 * ms, "gain": 4 / umolar})
    group.drive = DRIVES
    return group


def both():
    """Neurons and astrocytes as one model, written anew."""
    own = {"tau": Parameter(100.0, "msecond", "membrane", "assumed here", "assumed"),
           "gain": Parameter(4.0, "1/umolar", "what calcium does", "assumed here", "assumed")}
    return Model(
        "both", "neurons and astrocytes",
        (Population("neuron", "", NEURON + "calcium : mmolar", lambda o: 2, threshold="v > 1", reset="v = 0"),
         Population("astrocyte", "", EQUATIONS + "dI/dt = (I_0 - I)/tau_I : mmolar", lambda o: 2)),
        {"set": {**DRIVEN, **own}},
        {**DRIVEN_MODEL.initial, "v": Parameter(0.0, "1", "rest", "assumed here", "assumed", "any")},
        {"C": Observable("astrocyte", "umolar", "calcium"), "v": Observable("neuron", "1", "voltage")},
        connections=(Connection("made", "neuron", "astrocyte", "IP3", "", lambda o: Pairs([0, 1], [0, 1]),
                                on_pre="I_post += delta_I"),
                     Connection("sensed", "astrocyte", "neuron", "calcium", "calcium_post = C_pre : mmolar (summed)",
                                lambda o: Pairs([0, 0], SENSED))),
        inputs={"drive": Input("neuron", "drive", "1", 0.0, "drive")})


@pytest.mark.slow
def test_both_directions_are_those_of_one_model():
    """Spikes make IP3 in our astrocytes, whose calcium drives the neurons: the same steps in the same order."""
    group = neurons()
    network = brian2.Network(group)
    cell = attach(network, "li_rinzel_driven", options={"n": 2}, spikes={"spikes": group})
    group.calcium = brian2.linked_var(cell["astrocyte"], "C", index=[0, 0])
    voltage = brian2.StateMonitor(group, "v", record=True)
    network.add(voltage)
    network.run(20 * second)
    recording = cell.recording()
    wanted = simulate(both(), [constant("drive", drive, elements=k) for k, drive in enumerate(DRIVES)],
                      duration="20 s", dt="2 ms", options={})
    assert np.ptp(wanted["C"].values[:, 1]) > 0.1, "the second neuron spikes, by the calcium of the first's astrocyte"
    # the same operations; only the sum that passes calcium on is another
    assert recording["C"].values == pytest.approx(wanted["C"].values[:-1], rel=1e-9)
    assert pytest.approx(wanted["v"].values[:-1], rel=1e-7, abs=1e-9) == voltage.v.T
    assert recording.meta["coupled"] == {"spikes": group.name}
    assert recording.time[-1] == pytest.approx(19.998)


@pytest.mark.slow
def test_spikes_of_a_group_are_those_of_a_protocol_a_step_later():
    """A threshold is passed at the end of a step: what it does stands in the record of the next."""
    at = np.array([0.1, 0.3, 0.32, 0.34, 0.5])
    group = brian2.SpikeGeneratorGroup(3, np.ones(5, int), at * second)
    network = brian2.Network(group)
    options = {"n_synapses": 2}
    cell = attach(network, "tripartite", "constant:input=glutamate,value=1 umolar", options=options,
                  spikes={"spikes": (group, [2, 1])})
    network.run(1 * second)
    found = cell.recording()
    wanted = simulate("tripartite", [spikes("spikes", at + 0.002, elements=1),
                                     "constant:input=glutamate,value=1 umolar"], options=options, duration="1 s",
                      dt="2 ms")
    for name in wanted.variables:
        assert found[name].values == pytest.approx(wanted[name].values[:-1], rel=1e-9, abs=1e-12), name


@pytest.mark.slow
def test_an_input_follows_a_variable():
    """IP3 that a group lets rise: against the ramp, to the first order that such coupling has."""
    group = brian2.NeuronGroup(1, "dx/dt = 0.04*umolar/second : mmolar", method="euler")
    group.x = 0.1 * umolar
    network = brian2.Network(group)
    cell = attach(network, "li_rinzel:FM", inputs={"ip3": (group, "x")})
    network.run(10 * second)
    wanted = simulate("li_rinzel:FM", ramp("ip3", [0, 10], ["0.1 umolar", "0.5 umolar"]), duration="10 s", dt="2 ms")
    # 2 ms of a rise of 0.04 umolar/s: 8e-5 umolar of some 0.3
    assert cell.recording()["C"].values == pytest.approx(wanted["C"].values[:-1], rel=2e-3)


@pytest.mark.slow
def test_two_models_in_one_network():
    network = brian2.Network(neurons := brian2.NeuronGroup(2, "x : mmolar", name="levels"))
    neurons.x = [0.4, 0.6] * umolar
    cells = [attach(network, "gchi", options={"n": 1}, inputs={"glutamate": (neurons, "x", [k])}, name=f"cell_{k}_")
             for k in (0, 1)]
    network.run(1 * second)
    for level, cell in zip(("0.4 umolar", "0.6 umolar"), cells, strict=True):
        wanted = simulate("gchi", constant("glutamate", level), duration="1 s", dt="2 ms")
        assert cell.recording()["C"].values == pytest.approx(wanted["C"].values[:-1], rel=1e-9)


@pytest.mark.parametrize(("given", "says"), [
    ({"spikes": {"spike": "group"}}, "did you mean 'spikes'"),
    ({"spikes": {"spikes": "silent"}}, "sends no spikes"),
    ({"spikes": {"spikes": ("group", [0, 7])}}, "each from 0 to 2"),
    ({"spikes": {"spikes": "group"}}, "has 3 elements for 2"),
    ({"spikes": {"spikes": ("group", [0, 1])}, "dt": "1 ms"}, "give both the same"),
    ({"inputs": {"ip3_flux": ("group", "y")}}, "no variable 'y'"),
    ({"inputs": {"ip3_flux": ("group", "x", [0, 1])}}, "another dimension"),
    ({"inputs": {"ip3_flux": "group"}}, "give \\(group, 'variable'\\)"),
    ({"options": {"m": 2}}, "unknown option"),
])
def test_what_does_not_fit_is_refused(given, says):
    groups = {"group": brian2.NeuronGroup(3, "dx/dt = 1/second : 1", threshold="x > 1", reset="x = 0", method="euler"),
              "silent": brian2.NeuronGroup(2, "x : 1")}

    def group_of(value):
        return (groups[value[0]], *value[1:]) if isinstance(value, tuple) else groups[value]

    network = brian2.Network(*groups.values())
    given = {key: {name: group_of(value) for name, value in item.items()} if key in ("spikes", "inputs") else item
             for key, item in given.items()}
    with pytest.raises(UserError, match=says):
        attach(network, "li_rinzel_driven", **{"options": {"n": 2}, **given})
    assert len(network.objects) == 2, "nothing was added"


@pytest.mark.slow
def test_the_checks_of_a_run_are_made():
    brian2.defaultclock.dt = 2 * second
    network = brian2.Network()
    cell = attach(network, "li_rinzel", "constant:input=ip3,value=0.9 umolar")
    with pytest.raises(UserError, match="nothing is recorded yet"):
        cell.recording()
    network.run(60 * second)
    with pytest.raises(UserError, match="give the network a shorter dt than 2 s"):
        cell.recording()
    network.run(60 * second)
    with pytest.raises(UserError, match="give attach a longer duration"):
        cell.recording()


@pytest.mark.slow
def test_a_delay_between_steps_is_as_exact_as_for_a_protocol():
    """The same spikes, on steps of 2 ms, once from a user's group: the plasticity rule's delay is 13.7 ms."""
    def clock(first):
        made = brian2.NeuronGroup(1, "dx/dt = 25*hertz : 1", threshold="x > 0.9999", reset="x = 0", method="euler")
        made.x = 1 - 0.05 * first
        return made

    pre, post = clock(2), clock(5)
    network = brian2.Network(pre, post)
    cell = attach(network, "graupner_brunel", spikes={"pre": pre, "post": post}, duration="0.2 s")
    network.run(0.2 * second)
    found = cell.recording()
    trains = [spikes("pre", 0.004 + 0.04 * np.arange(5)), spikes("post", 0.01 + 0.04 * np.arange(5))]
    wanted = simulate("graupner_brunel", trains, duration=float(found.time[-1]), dt="2 ms")
    for name in ("c", "above_p", "above_d", "rho"):
        assert wanted[name].values.max() > 0.01
        assert found[name].values == pytest.approx(wanted[name].values, rel=1e-9, abs=1e-12)
