"""Neurons, tripartite synapses and a sheet of astrocytes: recurrent spiking activity that astrocytes sense and change.

Excitatory and inhibitory leaky integrate-and-fire neurons with conductances meet at random; every excitatory synapse
is a tripartite one (models/tripartite.py) and belongs to one astrocyte of a sheet with gap junctions
(models/astrocyte_network.py). Spikes, releases of gliotransmitter and the map are recorded.

A synapse lies near its postsynaptic neuron, or right on it (`synapse_spread` = 0, as in Stimberg2019), and belongs to
the nearest astrocyte. The option `wiring_seed` draws who meets whom and where; the run's seed draws the voltages of the
start. A spike acts on synapse and neuron together, after the delay D_e or D_i; a release by calcium acts after D_A; the
paper has no delays, so all are 0 in its set.

Orders: a spike falls on the end of the step in which the voltage crosses, so spike times are of first order in dt (it
holds for tau_r from the start of that step, as in Brian2); what the astrocytes sense and what passes through gap
junctions is of second, the latter of first with coupling_scheme = held.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import astro_sim.models.astrocyte_network as sheet
import astro_sim.models.gchi as gchi
from astro_sim.model import (
    Belonging,
    Connection,
    Event,
    Input,
    Law,
    Model,
    Observable,
    Option,
    Options,
    Pairs,
    Population,
    SpikeInput,
    one_to_one,
)
from astro_sim.model.views import Planned
from astro_sim.models.neuron_glia_network.wiring import astrocyte_places, neuron_places, neurons, synapse_map, wiring
from astro_sim.models.tripartite import model as tripartite
from astro_sim.parameter import Parameter, convert

NEURON = """
dv/dt = (g_l*(E_l - v) + g_e*(E_e - v) + g_i*(E_i - v) + I_ex)/C_m : volt (unless refractory)  # (E2.25)
dg_e/dt = -g_e/tau_e : siemens   # (E2.26) excitatory conductance
dg_i/dt = -g_i/tau_i : siemens   # (E2.26) inhibitory conductance
"""

# inhibitory synapses: the same resources, no receptors for gliotransmitter
INHIBITORY = tripartite.RESOURCES.replace("_S", "_I")
INHIBITORY_SPIKE = tripartite.DISCHARGE.replace("U_0_post", "U_0_star").replace("_S_", "_I_")

# (E2.26) right after the release, so in the step of the spike
EXCITATION = "g_e_post += w_e*r_S"
INHIBITION = "g_i_post += w_i*r_I"

# (E2.27) IP3 as in a network of astrocytes, made through receptors
ASTROCYTE = gchi.CALCIUM + sheet.TOGETHER + gchi.RECEPTOR + tripartite.SENSED + sheet.EXCHANGE

_ST, _HERE = "Stimberg2019", "assumed here"
# The network of Stimberg2019, with its own values for IP3 (production by PLC beta and delta). It has no source of IP3
# outside, and then no low rest: left alone, every astrocyte releases. So F_ex is assumed: from 0.15 umolar/second on
# the astrocytes rest, up to 0.4 the glutamate of active synapses (10 umolar) makes them release.
FIGURE_6 = {
    **tripartite.RELEASE_DECREASING, **gchi.receptor(0.5), **gchi.degradation(_ST, 1.2, 0.1, 0.05, 0.7, 4.5),
    **sheet.gaps(0.2, _HERE),
    "C_m":   Parameter(0.198, "nfarad",   "capacitance of a neuron's membrane",            _ST, "fitted"),
    "g_l":   Parameter(9.99,  "nsiemens", "leak conductance",                              _ST, "fitted"),
    "E_l":   Parameter(-60.0, "mvolt",    "reversal potential of the leak",                _ST, "fitted", "any"),
    "E_e":   Parameter(0.0,   "mvolt",    "reversal potential of excitatory synapses",     _ST, "fitted", "any"),
    "E_i":   Parameter(-80.0, "mvolt",    "reversal potential of inhibitory synapses",     _ST, "fitted", "any"),
    "V_th":  Parameter(-50.0, "mvolt",    "voltage above which a neuron spikes",           _ST, "fitted", "any"),
    "V_r":   Parameter(-60.0, "mvolt",    "voltage after a spike",                         _ST, "fitted", "any"),
    "tau_r": Parameter(5.0,   "msecond",  "time after a spike for which the voltage is held", _ST, "fitted"),
    "tau_e": Parameter(5.0,   "msecond",  "decay of the excitatory conductance",           _ST, "fitted"),
    "tau_i": Parameter(10.0,  "msecond",  "decay of the inhibitory conductance",           _ST, "fitted"),
    "w_e":   Parameter(0.05,  "nsiemens", "excitatory conductance of a full release",      _ST, "fitted",
                       "nonnegative"),
    "w_i":   Parameter(1.0,   "nsiemens", "inhibitory conductance of a full release",      _ST, "fitted",
                       "nonnegative"),
    "w_ext": Parameter(1.0,   "nsiemens", "excitatory conductance of a spike from outside", _HERE, "assumed",
                       "nonnegative"),
    "D_e":   Parameter(0.0,   "msecond",  "delay of excitatory transmission",               _ST, "stated",
                       "nonnegative"),
    "D_i":   Parameter(0.0,   "msecond",  "delay of inhibitory transmission",               _ST, "stated",
                       "nonnegative"),
    "D_A":   Parameter(0.0,   "msecond",  "delay from a release by calcium to what the gliotransmitter does at a "
                       "synapse",                                                           _ST, "stated",
                       "nonnegative"),
}  # fmt: skip
RELEASE_INCREASING = {**FIGURE_6, "glio_sign": tripartite.RELEASE_INCREASING["glio_sign"]}


def _sheet(options: Options) -> dict:
    """The options of astrocyte_network that say the same."""
    return {"layout": "sheet" if options["n_rows"] > 1 else "line",
            **{name: options[name] for name in ("n_rows", "n_columns", "boundary")}}


def _to_synapses(options: Options) -> Pairs:
    return tripartite.to_synapses(synapse_map(options))


def starting_voltages(plan: Planned) -> list[float]:
    """Voltages of the start in mV, by chance between V_r and V_th: at rest all neurons would spike together."""
    return np.random.default_rng([plan.seed, 1]).uniform(*voltages(plan, "V_r", "V_th"), neurons(plan.options)).tolist()


def voltages(plan: Planned, *names: str) -> list[float]:
    """Parameters in mV."""
    return [convert(plan.parameters[name].value, plan.parameters[name].unit, "mvolt", name) for name in names]


def lowest_voltage(plan: Planned) -> float:
    """In mV: what no neuron can fall below, from its start, its reset, its reversal potentials and its current."""
    current, leak = plan.inputs["neuron", "I_ex"].means(plan.edges).min(), plan.parameters["g_l"]
    start = plan.initial["v"]
    begins = min(start) if isinstance(start, tuple) else convert(start.value, start.unit, "mvolt", "v")
    rest, inhibited, reset = voltages(plan, "E_l", "E_i", "V_r")
    pulled = current / convert(leak.value, leak.unit, "usiemens", "g_l")  # namp/usiemens = mvolt
    return float(np.min([begins, reset, inhibited, rest, rest + pulled, inhibited + pulled]))


def highest_voltage(plan: Planned) -> float:
    """In mV: a neuron above V_th is reset before it is recorded, but it may start there."""
    start = plan.initial["v"]
    begins = max(start) if isinstance(start, tuple) else convert(start.value, start.unit, "mvolt", "v")
    return max(begins, *voltages(plan, "V_th", "V_r"))


def _where_astrocytes_are(law: Law) -> Callable:
    """A law of astrocyte_network that does not hold where there is none."""
    return lambda plan, recording: law.quantity(plan, recording) if "C" in recording.variables else None


def _labels(options: Options) -> list[str]:
    return [f"{kind} {k}" for kind in ("excitatory", "inhibitory") for k in range(options[f"n_{kind}"])]


def _gaps(name: str, meaning: str, text: str, *, pairs: Callable[[dict], Pairs], **when: str) -> Connection:
    return Connection(name, "astrocyte", "astrocyte", meaning, text, lambda o: pairs(_sheet(o)),
                      when={**_ACTING, **{key: (value,) for key, value in when.items()}})


_ACTING, _CLOSED = {"loop": ("open", "closed")}, {"loop": ("closed",)}
_NEURON = {
    "v": Observable("neuron", "mvolt", "voltage of a neuron's membrane", lowest_voltage, highest_voltage),
    "g_e": Observable("neuron", "nsiemens", "excitatory conductance", 0.0),
    "g_i": Observable("neuron", "nsiemens", "inhibitory conductance", 0.0),
}
_INHIBITORY = {
    "u_I": Observable("inhibitory_synapse", "1", "use of resources by a spike", 0.0, 1.0),
    "x_I": Observable("inhibitory_synapse", "1", "resources ready for release", 0.0, 1.0),
}
_AT_REST = {"u_I": "u_S", "x_I": "x_S", "r_I": "r_S"}

MODEL = Model(
    name="neuron_glia_network",
    summary="recurrent network of spiking neurons whose excitatory synapses belong to a sheet of coupled astrocytes",
    populations=(
        Population("afferent", "sources of spikes from outside, one a neuron", "", neurons),
        Population("clamp", "sources of given releases of gliotransmitter", "", lambda o: o["n_rows"]*o["n_columns"],
                   when=_ACTING),
        Population("neuron", "leaky integrate-and-fire: n_excitatory, then n_inhibitory", NEURON, neurons, _labels,
                   neuron_places, threshold="v > V_th", reset="v = V_r", refractory="tau_r"),
        Population("synapse", "excitatory synapses, each with its receptors for gliotransmitter", tripartite.SYNAPSE,
                   lambda o: len(wiring(o).pre),
                   lambda o: [f"{a} to {b}" for a, b in zip(wiring(o).pre, wiring(o).post, strict=True)],
                   lambda o: wiring(o).places),
        Population("inhibitory_synapse", "inhibitory synapses, which no astrocyte reaches", INHIBITORY,
                   lambda o: len(wiring(o).inhibitory_pre),
                   lambda o: [f"{a} to {b}" for a, b in zip(wiring(o).inhibitory_pre, wiring(o).inhibitory_post,
                                                            strict=True)]),
        Population("astrocyte", "one compartment each, k = row*n_columns + column", ASTROCYTE,
                   lambda o: o["n_rows"]*o["n_columns"], positions=astrocyte_places, threshold="C > C_Theta",
                   refractory="C > C_Theta", when=_ACTING),
    ),
    connections=(
        Connection("afferents", "afferent", "neuron", "spikes from outside", "",
                   one_to_one(neurons), on_pre="g_e_post += w_ext"),
        Connection("transmission", "neuron", "synapse", "release at excitatory synapses", "",
                   lambda o: Pairs(wiring(o).pre, range(len(wiring(o).pre))), on_pre=tripartite.SPIKE, delay="D_e"),
        Connection("excitation", "neuron", "neuron", "what is released opens excitatory conductances", "",
                   lambda o: Pairs(wiring(o).pre, wiring(o).post), on_pre=EXCITATION, reads={"r_S": "synapse"},
                   order=1, delay="D_e"),
        Connection("inhibitory_transmission", "neuron", "inhibitory_synapse", "release at inhibitory synapses", "",
                   lambda o: Pairs(wiring(o).inhibitory_pre, range(len(wiring(o).inhibitory_pre))),
                   on_pre=INHIBITORY_SPIKE, delay="D_i"),
        Connection("inhibition", "neuron", "neuron", "what is released opens inhibitory conductances", "",
                   lambda o: Pairs(wiring(o).inhibitory_pre, wiring(o).inhibitory_post), on_pre=INHIBITION,
                   reads={"r_I": "inhibitory_synapse"}, order=1, delay="D_i"),
        Connection("sensing", "synapse", "astrocyte", "mean glutamate of the astrocyte's synapses", tripartite.SENSING,
                   lambda o: tripartite.to_astrocytes(synapse_map(o)), when=_CLOSED, coupling_order=2),
        Connection("clamped_release", "clamp", "synapse", "given releases of gliotransmitter", "", _to_synapses,
                   when=_ACTING, on_pre=tripartite.RELEASE),
        Connection("gliotransmission", "astrocyte", "synapse", "releases by calcium", "", _to_synapses, when=_ACTING,
                   on_pre=tripartite.RELEASE, delay="D_A"),
        _gaps("linear_gaps", "gap junctions between neighbours", sheet.LINEAR, pairs=sheet.neighbours, gaps="linear"),
        _gaps("nonlinear_gaps", "gap junctions between neighbours", sheet.NONLINEAR, pairs=sheet.neighbours,
              gaps="nonlinear"),
        _gaps("linear_bath", "what lies beyond an open end", sheet.LINEAR_BATH, pairs=sheet.open_ends, gaps="linear",
              boundary="open"),
        _gaps("nonlinear_bath", "what lies beyond an open end", sheet.NONLINEAR_BATH, pairs=sheet.open_ends,
              gaps="nonlinear", boundary="open"),
    ),
    parameter_sets={"figure_6": FIGURE_6, "release_increasing": RELEASE_INCREASING},
    initial={
        "v": Parameter(-60.0, "mvolt", "voltage at the start, where it is not drawn", _ST, "stated", "any"),
        "g_e": Parameter(0.0, "nsiemens", "no excitation at the start", _HERE, "assumed", "nonnegative"),
        "g_i": Parameter(0.0, "nsiemens", "no inhibition at the start", _HERE, "assumed", "nonnegative"),
        **tripartite.INITIAL_SYNAPSE, **{name: tripartite.INITIAL_SYNAPSE[like] for name, like in _AT_REST.items()},
        "C": Parameter(0.01, "umolar", "calcium at the start", _ST, "stated", "nonnegative"),
        "h": Parameter(0.9, "1", "receptors not inactivated at the start", _ST, "stated", "fraction"),
        "I": Parameter(0.01, "umolar", "IP3 at the start", _ST, "stated", "nonnegative"),
        **gchi.UNBOUND,
    },
    drawn={"v": starting_voltages},
    inputs={"current": Input("neuron", "I_ex", "namp", 0.1, "current into the neurons"),
            "glutamate": Input("astrocyte", "Y_ext", "umolar", 0.0, "glutamate from elsewhere at the astrocyte",
                                allowed="nonnegative"),
            "ip3_source": gchi.IP3_SOURCE,
            "ip3_flux": Input("astrocyte", "ip3_flux", "umolar/second", 0.0, "IP3 let in, whatever the concentration")},
    observables={**_NEURON, **tripartite.SEEN_SYNAPSE, **_INHIBITORY, **gchi.BOUND, **sheet.MODEL.observables},
    options={"n_excitatory": Option(80, (1, 100_000), "excitatory neurons (3200 in Stimberg2019)"),
             "n_inhibitory": Option(20, (1, 100_000), "inhibitory neurons (800)"),
             "n_rows": Option(4, (1, 1000), "rows of the sheet of astrocytes"),
             "n_columns": Option(4, (1, 1000), "astrocytes in a row"),
             "p_excitatory": Option(0.05, (0.0, 1.0), "chance that an excitatory neuron meets another neuron"),
             "p_inhibitory": Option(0.2, (0.0, 1.0), "chance that an inhibitory neuron meets another neuron"),
             "wiring_seed": Option(1, (0, 2**31), "seed of who meets whom, and where"),
             "synapse_spread": Option(0.0, (0.0, 1000.0), "standard deviation of a synapse's place about its "
                                      "postsynaptic neuron, in distances of astrocytes"),
             "loop": Option("closed", ("none", "open", "closed"), "what the astrocytes sense and do"),
             "gaps": Option("nonlinear", ("nonlinear", "linear", "none"), "how IP3 passes between astrocytes"),
             "boundary": Option("closed", ("closed", "open", "periodic"), "what is beyond the sheet: nothing, a bath "
                                "at I_bath, the other side"),
             "coupling_scheme": sheet.MODEL.options["coupling_scheme"],
             "idle_astrocytes": Option("refused", ("refused", "allowed"), "astrocytes without a synapse"),
             "map": Option((), (0, 999_999), "the astrocyte of every excitatory synapse, as in 0+0+1; where none is "
                           "given, the nearest")},
    sources=("Stimberg2019", "TsodyksMarkram1997", "DePitta2011", "DePitta2009"),
    not_modelled="delays that differ from synapse to synapse, adaptation, NMDA and slow inhibition, spillover, "
                 "gliotransmission at inhibitory synapses, calcium and ATP between astrocytes",
    spike_inputs={"afferents": SpikeInput("afferent", "spikes from outside"),
                  "release": SpikeInput("clamp", "releases of gliotransmitter, with loop = open or closed")},
    events={"spikes": Event("neuron", "spikes of the neurons"),
            "releases": Event("astrocyte", "releases of gliotransmitter by calcium")},
    maps={"astrocyte_of_synapse": Belonging("synapse", "astrocyte", "astrocyte of every excitatory synapse",
                                            lambda o: synapse_map(o).astrocytes)},
    laws=tuple(replace(law, quantity=_where_astrocytes_are(law)) for law in sheet.MODEL.laws),
)
