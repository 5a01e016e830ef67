"""The tripartite synapse: short-term plasticity, glutamate in the cleft, calcium of the astrocyte, gliotransmitter.

Loops: `none` leaves the astrocyte out; `open` lets the astrocyte act, driven by glutamate from outside or by given
releases; `closed` lets it sense the glutamate of its synapses too.

Orders of coupling. A summed variable is held over a step. Gliotransmitter coupled that way (one G_A an astrocyte, read
by its synapses) makes rk4 first order, and the share of receptors bound by one release wrong by 0.008 at dt = 1 ms. The
remedy here: every synapse has its own copy of G_A and x_A. The copies of an astrocyte see the same releases, so they
stay equal, the only coupling is the release itself, and rk4 keeps order 4. Glutamate still reaches the astrocyte
through a sum; it decays at a known rate, so the mean over the coming step is summed instead of the value at its start:
order 2. A release falls on the end of the step in which calcium crosses: its time is known to dt.
"""

from dataclasses import replace

import astro_sim.models.gchi as gchi
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
    one_to_one,
)
from astro_sim.models.synapse_map import SynapseMap
from astro_sim.parameter import Parameter

RESOURCES = """
du_S/dt = -Omega_f*u_S                                 : 1        # (E2.12) use of resources by a spike
dx_S/dt = Omega_d*(1 - x_S)                            : 1        # (E2.13) resources ready for release
r_S : 1
"""

SYNAPSE = RESOURCES + """
dY_S/dt = -Omega_c*Y_S                                 : mmolar   # (E2.14) glutamate in the cleft
dx_A/dt = Omega_A*(1 - x_A)                            : 1        # (E2.15) gliotransmitter ready for release
dG_A/dt = -Omega_e*G_A                                 : mmolar   # (E2.15) gliotransmitter at this synapse
dGamma_S/dt = O_G*G_A*(1 - Gamma_S) - Omega_G*Gamma_S  : 1        # (E2.16) presynaptic receptors bound
U_0 = (1 - Gamma_S)*U_0_star + glio_sign*Gamma_S       : 1
"""

# (E2.12) (E2.13) at a presynaptic spike, in this order
DISCHARGE = """
u_S_post += U_0_post*(1 - u_S_post)
r_S_post = u_S_post*x_S_post
x_S_post -= r_S_post
"""
# (E2.14) last of all
SPIKE = DISCHARGE + "Y_S_post += rho_c*Y_T*r_S_post\n"

# (E2.15) at a release of the astrocyte, in this order
RELEASE = """
G_A_post += rho_e*G_T*U_A*x_A_post
x_A_post -= U_A*x_A_post
"""

SENSED = """
glutamate = Y_A + Y_ext                                : mmolar
Y_A : mmolar
"""
ASTROCYTE = gchi.ASTROCYTE + SENSED

SENSING = """
Y_A_post = share*Y_S_pre*(1 - exp(-Omega_c*dt))/(Omega_c*dt) : mmolar (summed)
share : 1 (constant)
"""

_ST, _HERE = "Stimberg2019", "assumed here"
RELEASE_DECREASING = {  # figure 4
    **gchi.RECEPTOR_SETS["figure_4"],
    "U_0_star": Parameter(0.6,    "1",        "resting release probability",                          _ST, "fitted",
                          "fraction"),
    "Omega_f":  Parameter(3.33,   "1/second", "decay of facilitation",                                _ST, "fitted"),
    "Omega_d":  Parameter(2.0,    "1/second", "recovery of released resources",                       _ST, "fitted"),
    "rho_c":    Parameter(0.005,  "1",        "volume of vesicles over that of the cleft",            _ST, "fitted"),
    "Y_T":      Parameter(500.0,  "mmolar",   "glutamate in the vesicles",                            _ST, "fitted"),
    "Omega_c":  Parameter(40.0,   "1/second", "clearance of glutamate",                               _ST, "fitted"),
    "O_G":      Parameter(1.5,    "1/umolar/second", "binding of gliotransmitter",                    _ST, "fitted"),
    "Omega_G":  Parameter(0.5/60, "1/second", "unbinding of gliotransmitter, 0.5 per minute",         _ST, "fitted"),
    "C_Theta":  Parameter(0.5,    "umolar",   "calcium that makes the astrocyte release",             _ST, "fitted"),
    "Omega_A":  Parameter(0.6,    "1/second", "recovery of released gliotransmitter",                 _ST, "fitted"),
    "U_A":      Parameter(0.6,    "1",        "share of gliotransmitter that a release takes",        _ST, "fitted",
                          "fraction"),
    "G_T":      Parameter(200.0,  "mmolar",   "gliotransmitter in the vesicles",                      _ST, "fitted"),
    "rho_e":    Parameter(6.5e-4, "1",        "volume of those vesicles over that outside",           _ST, "fitted"),
    "Omega_e":  Parameter(60.0,   "1/second", "clearance of gliotransmitter",                         _ST, "fitted"),
    "glio_sign": Parameter(0.0,   "1",        "release probability with all receptors bound (alpha of the papers): "
                           "below U_0_star gliotransmission lowers release, above it raises it",      _ST, "stated",
                           "fraction"),
}  # fmt: skip
RELEASE_INCREASING = {**RELEASE_DECREASING, "glio_sign": Parameter(
    1.0, "1", "release probability with all receptors bound (alpha of the papers): the strongest increase", _HERE,
    "assumed", "fraction")}
# the synapse of figure 2 has neither plasticity nor receptors: each spike releases all, and nothing changes that
_ALL_RELEASED = {"U_0_star": 1.0, "glio_sign": 1.0, "Omega_d": 100.0}
FIGURE_2 = {
    **gchi.assumed(RELEASE_DECREASING), **gchi.RECEPTOR_SETS["figure_2"],
    **{name: RELEASE_DECREASING[name] for name in ("Y_T", "Omega_c")},
    "rho_c": replace(RELEASE_DECREASING["rho_c"], value=0.001),
    **gchi.assumed({name: replace(RELEASE_DECREASING[name], value=value) for name, value in _ALL_RELEASED.items()}),
}
SETS = {"release_decreasing": RELEASE_DECREASING, "release_increasing": RELEASE_INCREASING, "figure_2": FIGURE_2,
        "figure_3": {**RELEASE_DECREASING, **gchi.RECEPTOR_SETS["figure_3"]}, "figure_4": RELEASE_DECREASING}
STARTS = {name: gchi.RECEPTOR_STARTS[name if name in gchi.RECEPTOR_STARTS else "figure_4"] for name in SETS}


def synapse_map(options: Options) -> SynapseMap:
    """The user's map where one is given, else equal shares of neighbouring synapses."""
    synapses, astrocytes = options["n_synapses"], options["n_astrocytes"]
    if options["map"]:
        return SynapseMap.of_array(options["map"], synapses, astrocytes)
    return SynapseMap.equal_shares(synapses, astrocytes)


def to_synapses(found: SynapseMap) -> Pairs:
    """Every astrocyte to its synapses."""
    return Pairs(found.astrocytes, range(len(found.astrocytes)))


def to_astrocytes(found: SynapseMap) -> Pairs:
    """Every synapse to its astrocyte, which senses the mean over its synapses."""
    return Pairs(range(len(found.astrocytes)), found.astrocytes, {"share": found.shares})


def _to_synapses(options: Options) -> Pairs:
    return to_synapses(synapse_map(options))


def _n_synapses(options: Options) -> int:
    return options["n_synapses"]


def _n_astrocytes(options: Options) -> int:
    return options["n_astrocytes"]


_ACTING, _CLOSED = {"loop": ("open", "closed")}, {"loop": ("closed",)}
SEEN_SYNAPSE = {
    "u_S": Observable("synapse", "1", "use of resources by a spike", 0.0, 1.0),
    "x_S": Observable("synapse", "1", "resources ready for release", 0.0, 1.0),
    "r_S": Observable("synapse", "1", "resources released by the last spike", 0.0, 1.0),
    "Y_S": Observable("synapse", "umolar", "glutamate in the cleft", 0.0),
    "x_A": Observable("synapse", "1", "gliotransmitter ready for release", 0.0, 1.0),
    "G_A": Observable("synapse", "umolar", "gliotransmitter at the synapse", 0.0),
    "Gamma_S": Observable("synapse", "1", "presynaptic receptors that have bound gliotransmitter", 0.0, 1.0),
}
_REST = {
    "u_S": ("1", 0.0, "no facilitation", "fraction"), "x_S": ("1", 1.0, "all resources ready", "fraction"),
    "r_S": ("1", 0.0, "no release yet", "fraction"), "Y_S": ("umolar", 0.0, "no glutamate", "nonnegative"),
    "x_A": ("1", 1.0, "all gliotransmitter ready", "fraction"), "G_A": ("umolar", 0.0, "none outside", "nonnegative"),
    "Gamma_S": ("1", 0.0, "no receptor bound", "fraction"),
}

INITIAL_SYNAPSE = {name: Parameter(value, unit, f"{meaning} at the start", _HERE, "assumed", allowed)
                   for name, (unit, value, meaning, allowed) in _REST.items()}

MODEL = Model(
    name="tripartite",
    summary="synapses with short-term plasticity, their glutamate, and astrocytes that act back on release",
    populations=(
        Population("terminal", "sources of presynaptic spikes", "", _n_synapses),
        Population("clamp", "sources of given releases of gliotransmitter", "", _n_astrocytes, when=_ACTING),
        Population("synapse", "synapses, each with its receptors for gliotransmitter", SYNAPSE, _n_synapses),
        # a release is an upward crossing: none follows while calcium stays above; a start above it counts as one
        Population("astrocyte", "one calcium compartment each", ASTROCYTE, _n_astrocytes, threshold="C > C_Theta",
                   refractory="C > C_Theta", when=_ACTING),
    ),
    connections=(
        Connection("transmission", "terminal", "synapse", "release of glutamate", "", one_to_one(_n_synapses),
                   on_pre=SPIKE),
        Connection("sensing", "synapse", "astrocyte", "mean glutamate of the astrocyte's synapses", SENSING,
                   lambda o: to_astrocytes(synapse_map(o)), when=_CLOSED, coupling_order=2),
        Connection("clamped_release", "clamp", "synapse", "given releases of gliotransmitter", "", _to_synapses,
                   when=_ACTING, on_pre=RELEASE),
        Connection("gliotransmission", "astrocyte", "synapse", "releases by calcium", "", _to_synapses, when=_ACTING,
                   on_pre=RELEASE),
    ),
    parameter_sets=SETS,
    starts=STARTS,
    initial={**gchi.INITIAL, **gchi.UNBOUND, **INITIAL_SYNAPSE},
    inputs={"glutamate": Input("astrocyte", "Y_ext", "umolar", 0.0, "glutamate from elsewhere at the astrocyte",
                                allowed="nonnegative"), "ip3_source": gchi.IP3_SOURCE},
    observables={**SEEN_SYNAPSE, **gchi.OBSERVABLES, **gchi.BOUND},
    options={"loop": Option("closed", ("none", "open", "closed"), "what the astrocyte senses and does"),
             "n_synapses": Option(1, (1, 1_000_000), "synapses"),
             "n_astrocytes": Option(1, (1, 1_000_000), "astrocytes, at most one a synapse"),
             "map": Option((), (0, 999_999), "the astrocyte of every synapse, as in 0+0+1; where none is given, equal "
                           "shares of neighbouring synapses")},
    sources=("TsodyksMarkram1997", "DePitta2011", "Stimberg2019"),
    not_modelled="postsynaptic currents, spillover between synapses, astrocyte-to-astrocyte coupling, receptor noise",
    spike_inputs={"spikes": SpikeInput("terminal", "presynaptic spikes"),
                  "release": SpikeInput("clamp", "releases of gliotransmitter, with loop = open or closed")},
    events={"releases": Event("astrocyte", "releases of gliotransmitter by calcium")},
    maps={"astrocyte_of_synapse": Belonging("synapse", "astrocyte", "astrocyte of every synapse",
                                            lambda o: synapse_map(o).astrocytes)},
)
