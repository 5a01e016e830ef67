"""Calcium and IP3 of astrocytes in a plane or in space, joined by gap junctions in a graph of a chosen kind.

The cells are those of Lallouette2014: calcium of Li and Rinzel, IP3 made by PLC delta and degraded, no glutamate. Those
that are stimulated get IP3 from a source outside, at `I_bias`, through a gap junction of their own. What passes between
two astrocytes is lost by one and won by the other, whatever the graph.
"""

import numpy as np

from astro_sim.model import Connection, Input, Law, Model, Observable, Option, Options, Pairs, Population
from astro_sim.model.option import SCHEME
from astro_sim.model.views import Planned, Recorded
from astro_sim.models.astrocyte_graph.graph import OPTIONS, count, graph, places
from astro_sim.models.astrocyte_network import LINEAR, NONLINEAR
from astro_sim.models.gchi import SIDE
from astro_sim.models.li_rinzel import EQUATIONS as CALCIUM
from astro_sim.models.li_rinzel import LAWS
from astro_sim.models.li_rinzel import SETS as CALCIUM_SETS
from astro_sim.parameter import Parameter
from foundation.shapes import Array, Float

IP3 = f"""
dI/dt   = J_delta - J_3K - J_5P + stimulated*J_ex + ip3_flux + J_coupling : mmolar         # (E2.69) IP3
J_delta = O_delta/(1 + I/kappa_delta)*C**2/(C**2 + K_delta**2)            : mmolar/second  # PLC delta
J_3K    = O_3K*C**4/(C**4 + K_D**4)*I/(I + K_3K)                          : mmolar/second  # IP3 3-kinase
J_5P    = Omega_5P*I                                                      : mmolar/second  # IP3 5-phosphatase
gap_ex  = I_bias - I                                                      : mmolar
J_ex    = F/2*(1 + tanh((abs(gap_ex) - I_Theta)/omega_I))*side_ex         : mmolar/second  # (E2.23) source outside
side_ex = {SIDE.format(gap="gap_ex")}                                 : 1
J_coupling : mmolar/second
"""

_LA, _AS = "Lallouette2014", "AstroSim"
LALLOUETTE = {
    **CALCIUM_SETS["Lallouette2014"],
    "O_delta":     Parameter(0.7,  "umolar/second", "largest production of IP3 by PLC delta",            _LA, "fitted"),
    "kappa_delta": Parameter(1.5,  "umolar",        "inhibition of PLC delta by IP3",                    _LA, "fitted"),
    "K_delta":     Parameter(0.1,  "umolar",        "calcium affinity of PLC delta",                     _LA, "fitted"),
    "Omega_5P":    Parameter(0.21, "1/second",      "rate of degradation by IP3 5-phosphatase",          _LA, "fitted"),
    "O_3K":        Parameter(4.5,  "umolar/second", "largest degradation by IP3 3-kinase",               _LA, "fitted"),
    "K_D":         Parameter(0.7,  "umolar",        "calcium affinity of IP3 3-kinase (table 1 prints this and K_3K "
                             "the other way round; so DePitta2009)",                                     _LA, "fitted"),
    "K_3K":        Parameter(1.0,  "umolar",        "IP3 affinity of IP3 3-kinase",                      _LA, "fitted"),
    "F":           Parameter(2.0,  "umolar/second", "largest flux through a nonlinear gap junction",     _LA, "fitted",
                             "nonnegative"),
    "F_linear":    Parameter(2.0,  "1/second",      "rate of exchange through a linear gap junction",    _LA, "fitted",
                             "nonnegative"),
    "I_Theta":     Parameter(0.3,  "umolar",        "difference at which nonlinear gap junctions are half open", _LA,
                             "fitted"),
    "omega_I":     Parameter(0.05, "umolar",        "width of that threshold",                           _LA, "fitted"),
    "I_bias":      Parameter(2.0,  "umolar",        "IP3 of the source that stimulates",                 _LA, "fitted",
                             "nonnegative"),
}  # fmt: skip


def _joined(options: Options) -> Pairs:
    """Every gap junction, both ways."""
    links = graph(options).links
    return Pairs(links.ravel(order="F"), links[:, ::-1].ravel(order="F"))


def _places(options: Options) -> Float[Array, "astrocyte axis"]:
    return places(options)


def _unbalanced(plan: Planned, recording: Recorded) -> Float[Array, "time"]:
    """What flows through all gap junctions, as a share of all that flows: what leaves one astrocyte enters another."""
    flux = recording["J_coupling"].values
    size = np.abs(flux).sum(axis=1)
    return flux.sum(axis=1) / np.where(size > 0, size, 1.0)


MODEL = Model(
    name="astrocyte_graph",
    summary="calcium and IP3 of astrocytes in space, joined by gap junctions in a graph of a chosen kind (3 ODEs each)",
    populations=(Population("astrocyte", "one compartment each, in the order of the lattice, the last axis first",
                            CALCIUM + IP3, size=count, positions=_places),),
    connections=(
        Connection("linear_gaps", "astrocyte", "astrocyte", "gap junctions", LINEAR, _joined,
                   when={"gaps": ("linear",)}),
        Connection("nonlinear_gaps", "astrocyte", "astrocyte", "gap junctions", NONLINEAR, _joined,
                   when={"gaps": ("nonlinear",)}),
    ),
    parameter_sets={"Lallouette2014": LALLOUETTE},
    initial={"C": Parameter(0.0351, "umolar", "calcium at the start, at rest", _AS, "stated", "nonnegative"),
             "h": Parameter(0.9122, "1", "receptors not inactivated at the start, at rest", _AS, "stated", "fraction"),
             "I": Parameter(0.3046, "umolar", "IP3 at the start, at rest", _AS, "stated", "nonnegative")},
    inputs={"stimulated": Input("astrocyte", "stimulated", "1", 0.0, "1 for an astrocyte that the source at I_bias "
                                "reaches", allowed="fraction"),
            "ip3_flux": Input("astrocyte", "ip3_flux", "umolar/second", 0.0, "IP3 let in, whatever the concentration")},
    observables={"C": Observable("astrocyte", "umolar", "calcium concentration in the cytosol", 0.0, "C_T"),
                 "h": Observable("astrocyte", "1", "IP3 receptors not inactivated by calcium", 0.0, 1.0),
                 "I": Observable("astrocyte", "umolar", "IP3 concentration", 0.0),
                 "J_coupling": Observable("astrocyte", "umolar/second", "IP3 that comes through gap junctions")},
    options={**OPTIONS, "gaps": Option("nonlinear", ("nonlinear", "linear"), "how IP3 passes a gap junction"),
             "coupling_scheme": SCHEME},
    sources=("Lallouette2014", "AstroSim", "DePitta2009", "LiRinzel1994"),
    not_modelled="glutamate and its receptors, diffusion inside an astrocyte, calcium and ATP between astrocytes",
    laws=(*LAWS, Law("the sum of the flux through gap junctions", "zero", _unbalanced)),
)
