"""Slow inward currents: astrocytes that synaptic spikes drive, and neurons that their calcium excites.

NEST's `astrocyte_lr_1994`, `aeif_cond_alpha_astro` and `sic_connection`: the astrocytes of li_rinzel_driven, adaptive
exponential neurons with conductances that rise and fall, and a current in the logarithm of how far calcium is above a
threshold (NadkarniJung2003). Every neuron belongs to one astrocyte: equal blocks of neighbours. With loop = closed the
neurons' own spikes reach their astrocyte too.

Between spikes a neuron is integrated as its equations say; above `V_peak` its exponential no longer grows, as in NEST.
A spike falls on the end of its step: the upswing takes some 0.1 ms, and so does a step that does it justice.
"""

from astro_sim.model import (
    Belonging,
    Connection,
    Event,
    Input,
    Model,
    Observable,
    Option,
    Options,
    Pairs,
    Population,
    SpikeInput,
)
from astro_sim.model.option import SCHEME
from astro_sim.models.li_rinzel import DRIVEN, DRIVEN_IP3, DRIVEN_MODEL, LAWS
from astro_sim.models.li_rinzel import EQUATIONS as CALCIUM
from astro_sim.models.synapse_map import SynapseMap
from astro_sim.parameter import Parameter

NEURON = """
dv/dt    = (g_L*(E_L - V) + I_spike + I_syn - w + I_e + I_SIC)/C_m  : volt (unless refractory)
dw/dt    = (a*(V - E_L) - w)/tau_w                          : amp           # (E2.71) adaptation
dg_ex/dt = (s_ex - g_ex)/tau_ex                             : siemens       # (E2.72) conductances rise and fall
ds_ex/dt = -s_ex/tau_ex                                     : siemens
dg_in/dt = (s_in - g_in)/tau_in                             : siemens
ds_in/dt = -s_in/tau_in                                     : siemens
over     = clip((v - V_th)/Delta_T, -1e6, (V_peak - V_th)/Delta_T) : 1
V        = V_th + over*Delta_T                              : volt          # v, at most V_peak
I_spike  = g_L*Delta_T*exp(over)                            : amp           # (E2.70) upswing of a spike
I_syn    = g_ex*(E_ex - V) + g_in*(E_in - V)                : amp
I_SIC    : amp
"""

# (E2.73) nothing up to 1 nM above the threshold, then in the logarithm of that
ASTROCYTE = CALCIUM + DRIVEN_IP3 + """
excess = SIC_scale*log(clip((C - SIC_th)/SIC_unit, 1, 1e9)) : 1
"""
SIC = "I_SIC_post = w_SIC*excess_pre : amp (summed)"
EXCITES, INHIBITS = "s_ex_post += w_ex*exp(1)", "s_in_post += w_in*exp(1)"
MAKES_IP3 = "I_post += delta_I*w_astro"

_NE, _NJ = "NEST", "NadkarniJung2003"
NEST = {
    **DRIVEN,
    "delta_I":   Parameter(0.0002,  "umolar",   "IP3 that a spike of weight 1 adds", _NE, "stated", "nonnegative"),
    "SIC_th":    Parameter(0.19669, "umolar",   "calcium above which a current flows", _NJ, "fitted", "nonnegative"),
    "SIC_scale": Parameter(1.0,     "1",        "scale of the current", _NE, "stated", "nonnegative"),
    "SIC_unit":  Parameter(1.0,     "nmolar",   "unit of calcium in the logarithm", _NJ, "stated"),
    "w_SIC":     Parameter(0.001,   "namp",     "weight of sic_connection", _NE, "stated", "nonnegative"),
    "w_astro":   Parameter(1.0,     "1",        "weight of spikes at the astrocyte", _NE, "stated", "nonnegative"),
    "w_ex":      Parameter(1.0,     "nsiemens", "peak of a spike's excitation", _NE, "stated", "nonnegative"),
    "w_in":      Parameter(1.0,     "nsiemens", "peak of a spike's inhibition", _NE, "stated", "nonnegative"),
    "C_m":       Parameter(0.281,   "nfarad",   "capacitance of the membrane", _NE, "stated"),
    "g_L":       Parameter(30.0,    "nsiemens", "leak conductance", _NE, "stated"),
    "E_L":       Parameter(-70.6,   "mvolt",    "reversal potential of the leak", _NE, "stated", "any"),
    "E_ex":      Parameter(0.0,     "mvolt",    "reversal potential of excitation", _NE, "stated", "any"),
    "E_in":      Parameter(-85.0,   "mvolt",    "reversal potential of inhibition", _NE, "stated", "any"),
    "V_th":      Parameter(-50.4,   "mvolt",    "voltage at which the upswing begins", _NE, "stated", "any"),
    "Delta_T":   Parameter(2.0,     "mvolt",    "slope of the upswing", _NE, "stated"),
    "V_peak":    Parameter(0.0,     "mvolt",    "voltage at which a spike is sent", _NE, "stated", "any"),
    "V_reset":   Parameter(-60.0,   "mvolt",    "voltage after a spike", _NE, "stated", "any"),
    "t_ref":     Parameter(0.0,     "msecond",  "time after a spike without change", _NE, "stated", "nonnegative"),
    "a":         Parameter(4.0,     "nsiemens", "adaptation below threshold", _NE, "stated", "nonnegative"),
    "b":         Parameter(0.0805,  "namp",     "adaptation that a spike adds", _NE, "stated", "nonnegative"),
    "tau_w":     Parameter(144.0,   "msecond",  "decay of adaptation", _NE, "stated"),
    "tau_ex":    Parameter(0.2,     "msecond",  "rise and fall of the excitatory conductance", _NE, "stated"),
    "tau_in":    Parameter(2.0,     "msecond",  "rise and fall of the inhibitory conductance", _NE, "stated"),
}  # fmt: skip
SMALL_NETWORK = {  # of NEST's example astrocyte_small_network; its neurons also get a current of 1 nA
    **NEST,
    "delta_I": Parameter(2.0,  "umolar",  "IP3 that a spike of weight 1 adds", _NE, "stated", "nonnegative"),
    "tau_I":   Parameter(10.0, "msecond", "decay of IP3", _NE, "stated"),
    "tau_ex":  Parameter(2.0,  "msecond", "rise and fall of the excitatory conductance", _NE, "stated"),
}  # fmt: skip


def _neurons(options: Options) -> int:
    return options["n_neurons"]


def _astrocytes(options: Options) -> int:
    return options["n_astrocytes"]


def astrocyte_of(options: Options) -> SynapseMap:
    """The astrocyte of every neuron: equal blocks of neighbours."""
    return SynapseMap.equal_shares(options["n_neurons"], options["n_astrocytes"])


def _to_astrocytes(options: Options) -> Pairs:
    return Pairs(range(options["n_neurons"]), astrocyte_of(options).astrocytes)


def _to_neurons(options: Options) -> Pairs:
    return Pairs(astrocyte_of(options).astrocytes, range(options["n_neurons"]))


def _each(options: Options) -> Pairs:
    return Pairs(range(options["n_neurons"]), range(options["n_neurons"]))


_ZERO = {"w": ("namp", "no adaptation", "any"), "g_ex": ("nsiemens", "no excitation", "nonnegative"),
         "s_ex": ("nsiemens", "no excitation", "nonnegative"), "g_in": ("nsiemens", "no inhibition", "nonnegative"),
         "s_in": ("nsiemens", "no inhibition", "nonnegative")}

MODEL = Model(
    name="sic_neuron",
    summary="astrocytes driven by spikes, and adaptive exponential neurons that their slow inward currents excite",
    populations=(
        Population("terminal", "sources of excitatory spikes, one a neuron, at the neuron and its astrocyte", "",
                   _neurons),
        Population("inhibitory_terminal", "sources of inhibitory spikes, one a neuron", "", _neurons),
        Population("astrocyte", "one calcium compartment each, not coupled", ASTROCYTE, _astrocytes),
        Population("neuron", "adaptive exponential integrate-and-fire", NEURON, _neurons, threshold="v > V_peak",
                   reset="v = V_reset; w += b", refractory="t_ref"),
    ),
    connections=(
        Connection("excitation", "terminal", "neuron", "excitatory spikes open conductances", "", _each,
                   on_pre=EXCITES),
        Connection("inhibition", "inhibitory_terminal", "neuron", "inhibitory spikes open conductances", "", _each,
                   on_pre=INHIBITS),
        Connection("synaptic_ip3", "terminal", "astrocyte", "IP3 made at spikes from outside", "", _to_astrocytes,
                   on_pre=MAKES_IP3),
        Connection("own_ip3", "neuron", "astrocyte", "IP3 made at the neurons' own spikes", "", _to_astrocytes,
                   on_pre=MAKES_IP3, when={"loop": ("closed",)}),
        Connection("slow_inward_current", "astrocyte", "neuron", "current by the astrocyte's calcium", SIC,
                   _to_neurons),
    ),
    parameter_sets={"NEST": NEST, "NEST_small_network": SMALL_NETWORK},
    initial={**DRIVEN_MODEL.initial, "v": Parameter(-70.6, "mvolt", "voltage at the start, that of the leak", _NE,
                                                    "stated", "any"),
             **{name: Parameter(0.0, unit, f"{meaning} at the start", _NE, "stated", allowed)
                for name, (unit, meaning, allowed) in _ZERO.items()}},
    inputs={"current": Input("neuron", "I_e", "namp", 0.0, "current into the neurons"),
            "ip3_flux": Input("astrocyte", "J_in", "umolar/second", 0.0, "IP3 let in, whatever the concentration")},
    observables={**DRIVEN_MODEL.observables,
                 "v": Observable("neuron", "mvolt", "voltage of a neuron's membrane"),
                 "w": Observable("neuron", "namp", "adaptation current"),
                 "I_SIC": Observable("neuron", "namp", "slow inward current", 0.0),
                 "g_ex": Observable("neuron", "nsiemens", "excitatory conductance", 0.0),
                 "g_in": Observable("neuron", "nsiemens", "inhibitory conductance", 0.0)},
    options={"n_neurons": Option(1, (1, 100_000), "neurons, each with a source of spikes of either kind"),
             "n_astrocytes": Option(1, (1, 100_000), "astrocytes, at most one a neuron"),
             "loop": Option("open", ("open", "closed"), "whether the neurons' own spikes reach their astrocyte"),
             "coupling_scheme": SCHEME},
    sources=("NEST", "NadkarniJung2003", "LiRinzel1994"),
    not_modelled="synapses between the neurons, short-term plasticity, the delay of a step of sic_connection in NEST, "
                 "calcium between astrocytes",
    spike_inputs={"spikes": SpikeInput("terminal", "excitatory spikes from outside"),
                  "inhibitory": SpikeInput("inhibitory_terminal", "inhibitory spikes from outside")},
    events={"spikes_sent": Event("neuron", "spikes of the neurons")},
    maps={"astrocyte_of_neuron": Belonging("neuron", "astrocyte", "astrocyte of every neuron",
                                           lambda o: astrocyte_of(o).astrocytes)},
    laws=LAWS,
)
