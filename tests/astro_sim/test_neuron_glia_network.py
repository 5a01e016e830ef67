"""The network of neurons and astrocytes: against a naive twin, silence, rates, who is reached by gliotransmitter."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim import plan
from astro_sim.analysis import spiking, summary
from astro_sim.brian import backend, network
from astro_sim.models.neuron_glia_network import model, wiring
from astro_sim.recording.recording import Recording
from astro_sim.run.simulation import simulate
from foundation.errors import UserError

SMALL = {"n_excitatory": 3, "n_inhibitory": 2, "n_rows": 1, "n_columns": 3, "p_excitatory": 0.7, "p_inhibitory": 0.6,
         "synapse_spread": 1.0, "wiring_seed": 3}
STRONG = {"w_e": "6 nsiemens", "w_i": "4 nsiemens", "w_ext": "9 nsiemens"}
START = {"v": [-55.0, -58.0, -51.0, -57.0, -52.5], "C": [0.49, 0.2, 0.46], "I": [1.5, 0.4, 1.2], "h": [0.8, 0.75, 0.7]}
UNITS = {"v": "mV", "C": "uM", "I": "uM", "h": "1"}


def options(**chosen):
    return model.MODEL.read_options(chosen)


# ---------------------------------------------------------------- a twin, written anew in mV, nS, nA, uM and s

def rk4(rates, y, dt):
    a = rates(y)
    b = rates(y + dt / 2 * a)
    c = rates(y + dt / 2 * b)
    return y + dt / 6 * (a + 2 * b + 2 * c + rates(y + dt * c))


def neuron_rates(y, current, free):
    v, ge, gi = y
    # nS mV/nF = 1e-3 mV/s
    return np.array([free * ((9.99 * (-60 - v) + ge * -v + gi * (-80 - v)) / 0.198 + current / 0.198 * 1e3), -ge / 5e-3,
                     -gi / 10e-3])


def synapse_rates(y):
    u, x, glu, ready, glio, bound = y
    return np.array([-3.33 * u, 2 * (1 - x), -40 * glu, 0.6 * (1 - ready), -60 * glio,
                     1.5 * glio * (1 - bound) - 0.5 / 60 * bound])


def astrocyte_rates(y, glutamate, passed):
    c, h, i, bound = y
    q2, er = 1.05 * (i + 0.13) / (i + 0.9434), 2 - 1.18 * c
    gate = (i / (i + 0.13) * c / (c + 0.08) * h) ** 3
    made = 0.5 * bound + 1.2 * 1.5 / (1.5 + i) * c**2 / (c**2 + 0.01)
    lost = 4.5 * c**4 / (c**4 + 0.7**4) * i / (i + 1) + 0.05 * i
    lost = lost + 0.2 / 2 * (1 + np.tanh((abs(i) - 0.3) / 0.05)) * np.sign(i)  # to the source outside, at zero
    return np.array([(6 * gate + 0.1) * er - 0.9 * c**2 / (c**2 + 0.0025), 0.2 * (q2 - (q2 + c) * h),
                     made - lost + passed, 0.3 * glutamate * (1 - bound) - 0.5 * (1 + 10 * c / (c + 0.5)) * bound])


def twin(wires, belongs, steps, dt, current, afferent_steps, delays=(0, 0, 0)):
    """Step by step and spike by spike, in loops. Records {name: (record, element)}, spikes and releases (step, k)."""
    n, astrocytes = len(START["v"]), len(START["C"])
    cells = np.array([START["v"], [0.0] * n, [0.0] * n])
    syn = np.array([[0.0, 1, 0, 1, 0, 0]] * len(wires.pre)).T
    inh = np.array([[0.0, 1]] * len(wires.inhibitory_pre)).T
    glia = np.array([START["C"], START["h"], START["I"], [0.0] * astrocytes])
    last, ready = np.full(n, -(10**9)), np.ones(astrocytes, bool)
    seen, spikes, releases = [], [], []
    sent = {}  # step -> what arrives at its end: (excitatory neurons, inhibitory neurons, astrocytes)
    for step in range(steps + 1):
        if step in afferent_steps:
            cells[1, 0] += 9
        felt = np.array([syn[2, belongs == k].mean() for k in range(astrocytes)]) * (1 - np.exp(-40 * dt)) / (40 * dt)
        passed = np.zeros(astrocytes)
        for a, b in ((0, 1), (1, 2)):
            gap = glia[2, a] - glia[2, b]
            flow = 0.09 / 2 * (1 + np.tanh((abs(gap) - 0.3) / 0.05)) * np.sign(gap)
            passed[a] -= flow
            passed[b] += flow
        seen.append([cells.copy(), syn.copy(), inh.copy(), np.vstack([glia, passed])])
        ready |= ~(glia[0] > 0.5)
        free = step - last >= round(5e-3 / dt)
        cells = rk4(lambda y, free=free: neuron_rates(y, current, free), cells, dt)
        syn = rk4(synapse_rates, syn, dt)
        inh = rk4(lambda y: np.array([-3.33 * y[0], 2 * (1 - y[1])]), inh, dt)
        glia = rk4(lambda y, felt=felt, passed=passed: astrocyte_rates(y, felt, passed), glia, dt)
        fired, released = free & (cells[0] > -50), ready & (glia[0] > 0.5)
        for neuron in np.flatnonzero(fired):
            spikes.append((step + 1, neuron))
            last[neuron] = step
        for kind, senders in enumerate((np.flatnonzero(fired), np.flatnonzero(fired), np.flatnonzero(released))):
            sent.setdefault(step + delays[kind], ([], [], []))[kind].extend(senders)
        excitatory, inhibitory, astro = sent.pop(step, ((), (), ()))
        for neuron in excitatory:
            for k in np.flatnonzero(wires.pre == neuron):
                syn[0, k] += 0.6 * (1 - syn[5, k]) * (1 - syn[0, k])
                out = syn[0, k] * syn[1, k]
                syn[1, k] -= out
                syn[2, k] += 0.005 * 500e3 * out
                cells[1, wires.post[k]] += 6 * out
        for neuron in inhibitory:
            for k in np.flatnonzero(wires.inhibitory_pre == neuron):
                inh[0, k] += 0.6 * (1 - inh[0, k])
                out = inh[0, k] * inh[1, k]
                inh[1, k] -= out
                cells[2, wires.inhibitory_post[k]] += 4 * out
        releases += [(step + 1, astrocyte) for astrocyte in np.flatnonzero(released)]
        for astrocyte in astro:
            for k in np.flatnonzero(belongs == astrocyte):
                syn[4, k] += 6.5e-4 * 200e3 * 0.6 * syn[3, k]
                syn[3, k] *= 0.4
        ready &= ~released
        cells[0, fired] = -60
    names = (("v", "g_e", "g_i"), ("u_S", "x_S", "Y_S", "x_A", "G_A", "Gamma_S"), ("u_I", "x_I"),
             ("C", "h", "I", "Gamma_A", "J_coupling"))
    found = {name: np.array([record[part][row] for record in seen]) for part, group in enumerate(names)
             for row, name in enumerate(group)}
    return found, [one for one in spikes if one[0] <= steps], [one for one in releases if one[0] <= steps]


@pytest.mark.slow
@pytest.mark.parametrize("delays", [(0, 0, 0), (3, 5, 40)])
def test_agrees_with_a_naive_twin(tmp_path, delays):
    """Five neurons, three astrocytes, the same fixed steps: every variable at every step, every spike and release.

    Delays in steps: of excitation, of inhibition, of gliotransmission.
    """
    steps, dt = 500, 4e-4
    protocol = ["constant:input=current,value=0.13 namp",
                "regular:input=afferents,rate=50 hertz,count=10,start=20 ms,elements=0"]
    late = {name: f"{number * dt} s" for name, number in zip(("D_e", "D_i", "D_A"), delays, strict=True)}
    start = {name: (values, UNITS[name]) for name, values in START.items()}
    recording = simulate("neuron_glia_network", protocol, options=SMALL, parameters=STRONG | late, initial=start,
                         duration=f"{steps * dt} s", dt=dt)
    wires, belongs = wiring.wiring(options(**SMALL)), recording.maps["astrocyte_of_synapse"].indices
    assert len(wires.pre) >= 6 and len(wires.inhibitory_pre) >= 3 and set(belongs) == {0, 1, 2}
    wanted, spikes, releases = twin(wires, belongs, steps, dt, 0.13, {50 * n for n in range(1, 11)}, delays)
    assert {n for _, n in spikes} == set(range(5)) and len(spikes) > 15 and {k for _, k in releases} >= {0, 2}
    happened = {name: [(round(t / dt), k) for t, k in zip(e.times.tolist(), e.elements.tolist(), strict=True)]
                for name, e in recording.events.items()}
    assert happened == {"spikes": spikes, "releases": releases}
    for name, values in wanted.items():
        # the same arithmetic in other units and another order: rounding, grown over 500 steps
        assert np.abs(recording[name].values - values).max() < 1e-9 * np.abs(values).max(), name
    back = Recording.load(recording.save(tmp_path / "small.nc"))
    assert back.content_hash == recording.content_hash
    for name, seen in recording.events.items():
        assert np.array_equal(back.events[name].times, seen.times) and back.events[name].times.dtype == np.float64
        assert np.array_equal(back.events[name].elements, seen.elements)
        assert (back.events[name].population, back.events[name].long_name) == (seen.population, seen.long_name)
    assert np.array_equal(back.maps["astrocyte_of_synapse"].indices, belongs)
    assert np.array_equal(back["u_S"].positions, wires.places)


# ---------------------------------------------------------------- rates

@pytest.mark.slow
def test_without_input_all_is_silent():
    recording = simulate("neuron_glia_network", "constant:input=current,value=0 namp", options=SMALL, duration="0.2 s",
                         dt="0.5 ms", seed=5)
    assert len(recording.events["spikes"].times) == 0
    v = recording["v"].values
    # what is left of the start after 0.2 s: exp(-0.2 g_l/C_m) = 4e-5, on the way to E_l
    assert np.ptp(v[0]) > 0.5 and np.abs(v[-1] + 60).max() < 1e-3
    assert recording["Y_S"].values.max() == 0 == recording["Gamma_A"].values.max()


@pytest.mark.slow
def test_neurons_without_synapses_spike_at_the_rate_of_the_closed_form():
    """1/(tau_r + tau_m log(RI/(RI - (V_th - V_r)))), each with a current of its own."""
    currents = np.array([0.09, 0.12, 0.2, 0.4])
    drives = [f"constant:input=current,value={one} namp,elements={k}" for k, one in enumerate(currents)]
    recording = simulate("neuron_glia_network", drives, duration="0.4 s", dt="0.2 ms", record_every="10 ms",
                         options={**SMALL, "n_excitatory": 3, "n_inhibitory": 1, "loop": "none"},
                         parameters={"w_e": "0 nsiemens", "w_i": "0 nsiemens"})
    over, tau_m = currents / 9.99e-3, 0.198 / 9.99
    with np.errstate(invalid="ignore", divide="ignore"):
        period = np.where(over > 10, 5e-3 + tau_m * np.log(over / (over - 10)), np.inf)
    found = [recording.events["spikes"].times[recording.events["spikes"].elements == k] for k in range(4)]
    assert len(found[0]) == 0
    for k in (1, 2, 3):
        # a spike falls on the end of the step that crosses: a period is a whole number of steps
        assert np.diff(found[k]).mean() == pytest.approx(np.ceil(period[k] / 2e-4) * 2e-4, abs=2.01e-4)
    rates = spiking.firing_rates(recording)
    assert rates["excitatory"]["mean_hertz"] == pytest.approx(sum(len(one) for one in found[:3]) / 3 / 0.4)
    assert rates["inhibitory"]["mean_hertz"] == pytest.approx(len(found[3]) / 0.4)
    assert (rates["excitatory"]["neurons"], rates["excitatory"]["active"]) == (3, 2)
    said = summary.text(summary.summarise(recording, after=0.0))  # what the verb analyse prints
    assert re.search(r"excitatory +\d.* Hz \(0 to .*, 2 of 3 neurons active", said)
    with pytest.raises(UserError, match="spikes"):
        spiking.firing_rates(simulate("li_rinzel", duration="0.1 s", dt="10 ms"))


@pytest.mark.slow
def test_inhibition_lowers_and_excitation_raises_the_rate():
    def rate(**weights):
        recording = simulate("neuron_glia_network", "constant:input=current,value=0.13 namp", duration="0.3 s",
                             dt="0.5 ms", parameters={"w_e": "0 nsiemens", "w_i": "0 nsiemens", **weights},
                             options={"n_excitatory": 16, "n_inhibitory": 4, "n_rows": 1, "n_columns": 1,
                                      "p_excitatory": 0.5, "p_inhibitory": 0.5, "loop": "none"}, record_every="5 ms")
        return len(recording.events["spikes"].times) / 20 / 0.3

    alone = rate()
    assert 15 < alone < 35
    assert rate(w_i="10 nsiemens") < 0.8 * alone
    assert rate(w_e="3 nsiemens") > 1.3 * alone


# ---------------------------------------------------------------- astrocytes

@pytest.mark.slow
def test_gliotransmission_changes_the_synapses_of_its_astrocyte_alone():
    given_ = {"options": {**SMALL, "loop": "open"}, "duration": "0.2 s", "dt": "1 ms",
              "parameters": {"w_e": "0 nsiemens", "w_i": "0 nsiemens"}}
    alone = simulate("neuron_glia_network", "constant:input=current,value=0.2 namp", **given_)
    acted = simulate("neuron_glia_network", ["constant:input=current,value=0.2 namp",
                                             "spikes:input=release,times=0.1s,elements=1"], **given_)
    reached = acted.maps["astrocyte_of_synapse"].indices == 1
    assert 0 < reached.sum() < len(reached)
    assert ((acted["Gamma_S"].values[-1] > 0.5) == reached).all() and alone["Gamma_S"].values.max() == 0
    for name in ("u_S", "x_S", "r_S", "Y_S"):  # without weights the spikes are the same in both
        differs = (acted[name].values != alone[name].values).any(axis=0)
        assert not differs[~reached].any(), name
    late = alone.time > 0.15  # most receptors are bound: U_0 is below 0.3 instead of 0.6
    assert (acted["u_S"].values[late][:, reached].mean(axis=0)
            < 0.9 * alone["u_S"].values[late][:, reached].mean(axis=0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("gaps", ["linear", "nonlinear"])
@pytest.mark.parametrize("boundary", ["closed", "periodic"])
def test_what_flows_between_astrocytes_sums_to_zero(gaps, boundary):
    start = {"I": (np.linspace(0.1, 2, 6), "uM")}
    chosen = plan.prepare("neuron_glia_network", duration="1 ms", dt="0.5 ms", initial=start,
                          options={"n_excitatory": 12, "n_inhibitory": 1, "n_rows": 2, "n_columns": 3, "gaps": gaps,
                                   "p_excitatory": 1.0, "boundary": boundary})
    with backend.opened("numpy", 0):
        import brian2

        built = network.build(chosen)
        built.network.run(1 * brian2.ms, namespace={})
        flux = np.asarray(built.network["astrocyte"].J_coupling)
    assert np.abs(flux).max() > 0
    assert abs(flux.sum()) < 6 * np.finfo(float).eps * np.abs(flux).sum()


@pytest.mark.slow
def test_loops_sense_and_act_as_they_say():
    spikes = "constant:input=current,value=0.2 namp"
    runs = {loop: simulate("neuron_glia_network", spikes, options={**SMALL, "loop": loop}, duration="0.1 s",
                           dt="0.5 ms") for loop in ("none", "open", "closed")}
    assert "C" not in runs["none"].variables and not runs["none"].maps and set(runs["none"].events) == {"spikes"}
    assert runs["open"]["Gamma_A"].values.max() == 0 < runs["closed"]["Gamma_A"].values.max()
    assert np.array_equal(runs["open"]["v"].values, runs["closed"]["v"].values)  # no release yet: the same spikes
    assert runs["closed"].meta["solver"]["coupling_order"] == 2  # what is sensed, and gap junctions


# ---------------------------------------------------------------- wiring

@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000),
       st.floats(0, 3), st.sampled_from(["closed", "periodic"]))
def test_wiring_is_what_its_seed_says_and_stays_on_the_sheet(excitatory, inhibitory, rows, columns, seed, spread,
                                                             boundary):
    chosen = options(n_excitatory=excitatory, n_inhibitory=inhibitory, n_rows=rows, n_columns=columns,
                     wiring_seed=seed, p_excitatory=0.6, p_inhibitory=0.3, synapse_spread=spread, boundary=boundary,
                     idle_astrocytes="allowed")
    try:
        found = wiring.wiring(chosen)
    except UserError as error:
        assert "no excitatory synapse" in str(error)
        return
    wiring._wiring.cache_clear()
    again = wiring.wiring(chosen)
    assert all(np.array_equal(getattr(found, name), getattr(again, name)) for name in vars(found))
    for pre, post, low, high in ((found.pre, found.post, 0, excitatory),
                                 (found.inhibitory_pre, found.inhibitory_post, excitatory, excitatory + inhibitory)):
        assert (pre != post).all() and len(set(zip(pre.tolist(), post.tolist(), strict=True))) == len(pre)
        assert ((pre >= low) & (pre < high)).all() and ((post >= 0) & (post < excitatory + inhibitory)).all()
    for places in (found.places, wiring.neuron_places(chosen)):
        assert (places >= -0.5).all() and (places <= np.array([rows, columns]) - 0.5).all()
    mapped = wiring.synapse_map(chosen)
    assert mapped.in_degree.sum() == len(found.pre)
    far = np.abs(found.places - mapped.astrocyte_places[mapped.astrocytes])
    if boundary == "periodic":
        far = np.minimum(far, [rows, columns] - far)
    assert far.max() <= 0.5 + 1e-9  # the nearest on a sheet of unit squares is that of its square


def test_how_many_meet():
    chosen = options(n_excitatory=150, n_inhibitory=50, wiring_seed=7)
    found = wiring.wiring(chosen)
    for pairs, many, chance in ((found.pre, 150 * 199, 0.05), (found.inhibitory_pre, 50 * 199, 0.2)):
        assert abs(len(pairs) - many * chance) < 5 * np.sqrt(many * chance * (1 - chance))  # five deviations


@pytest.mark.slow
def test_the_same_seeds_give_the_same_run_and_others_another():
    def run(seed, wiring_seed):
        return simulate("neuron_glia_network", options={**SMALL, "wiring_seed": wiring_seed}, parameters=STRONG,
                        duration="20 ms", dt="0.5 ms", seed=seed)

    first, again, other_start, other_wires = run(0, 3), run(0, 3), run(1, 3), run(0, 4)
    assert again.content_hash == first.content_hash
    assert not np.array_equal(other_start["v"].values[0], first["v"].values[0])
    assert np.array_equal(other_wires["v"].values[0], first["v"].values[0])
    assert len({other_start.hash, other_wires.hash, first.hash}) == 3


@pytest.mark.parametrize(("chosen", "says"), [
    ({"p_excitatory": 0.0}, "no excitatory synapse at all"), ({"p_excitatory": 1.5}, "a number from 0.0 to 1.0"),
    ({"p_inhibitory": "nan"}, "a number from 0.0 to 1.0"), ({"n_rows": 40, "n_columns": 40}, "has no synapse"),
    ({**SMALL, "map": "0+1"}, "2 entries for"), ({"loop": "half"}, "unknown value of option loop")])
def test_networks_that_contradict_themselves_are_refused(chosen, says):
    with pytest.raises(UserError, match=says):
        simulate("neuron_glia_network", options=chosen, duration="10 ms", dt="0.5 ms")


@pytest.mark.slow
def test_idle_astrocytes_and_no_inhibition_can_be_asked_for():
    recording = simulate("neuron_glia_network", duration="5 ms", dt="0.5 ms",
                         options={**SMALL, "n_columns": 9, "synapse_spread": 0.0, "idle_astrocytes": "allowed",
                                  "p_inhibitory": 0.0})
    assert "x_I" not in recording.variables and recording["C"].values.shape[1] == 9


@pytest.mark.slow
def test_too_long_a_step_is_an_error_that_says_so():
    with pytest.raises(UserError, match=r"dt: 0\.02 s is too large"):
        simulate("neuron_glia_network", "regular:input=afferents,rate=10 hertz,count=2", options=SMALL,
                 parameters=STRONG, duration="0.4 s", dt="20 ms")


@pytest.mark.slow
def test_what_spikes_arrive_at_may_turn_back_at_every_step():
    """Conductances that a spike raises at every other step are no sign of a step that is too long."""
    train = "regular:input=afferents,rate=500 hertz,count=40"
    recording = simulate("neuron_glia_network", train, options={**SMALL, "loop": "none"}, duration="80 ms", dt="1 ms")
    change = np.diff(recording["g_e"].values[10:70, 0])
    assert (change[1:] * change[:-1] < 0).all()
    assert model.MODEL.kicked("v") and not model.MODEL.kicked("C")
