"""Calcium oscillations of an astrocyte: the Li-Rinzel reduction of De Young-Keizer.

IP3 follows an input (li_rinzel: held, stepped, ramped ...), or rests, jumps at spikes and decays (li_rinzel_driven).
"""


import numpy as np

from astro_sim.model import Connection, Input, Law, Model, Observable, Option, Population, SpikeInput, one_to_one
from astro_sim.model.views import Planned, Recorded
from astro_sim.parameter import Parameter
from foundation.shapes import Array, Float

EQUATIONS = """
dC/dt = J_release + J_leak - J_uptake : mmolar              # (E2.1) calcium in the cytosol
dh/dt = (h_inf - h)/tau_h             : 1                   # (E2.2) share of IP3 receptors not inactivated
J_release = Omega_C*(m*h)**3*stored   : mmolar/second       # through the IP3 receptor
J_leak    = Omega_L*stored            : mmolar/second
J_uptake  = O_P*C**2/(C**2 + K_P**2)  : mmolar/second       # SERCA pump
stored    = C_T - (1 + rho_A)*C       : mmolar              # what is left in the ER, per volume of cytosol
m         = I/(I + d1)*C/(C + d5)     : 1                   # (E2.3) gating of the receptor
Q2        = d2*(I + d1)/(I + d3)      : mmolar
h_inf     = Q2/(Q2 + C)               : 1
tau_h     = 1/(O_2*(Q2 + C))          : second
"""

_DP = "DePitta2009"
AM = {
    "C_T":     Parameter(2.0,     "umolar",             "total free calcium, per volume of cytosol",   _DP, "fitted"),
    "rho_A":   Parameter(0.185,   "1",                  "volume of the ER over that of the cytosol",   _DP, "fitted"),
    "Omega_C": Parameter(6.0,     "1/second",           "largest rate of release by IP3 receptors",    _DP, "fitted"),
    "Omega_L": Parameter(0.11,    "1/second",           "rate of the leak from the ER",                _DP, "fitted"),
    "O_P":     Parameter(0.9,     "umolar/second",      "largest rate of uptake by SERCA pumps",       _DP, "fitted"),
    "K_P":     Parameter(0.1,     "umolar",             "calcium affinity of SERCA pumps",             _DP, "fitted"),
    "d1":      Parameter(0.13,    "umolar",             "dissociation of IP3",                         _DP, "fitted"),
    "d2":      Parameter(1.049,   "umolar",             "dissociation of inactivating calcium",        _DP, "fitted"),
    "d3":      Parameter(0.9434,  "umolar",             "dissociation of IP3, receptor inactivated",   _DP, "fitted"),
    "d5":      Parameter(0.08234, "umolar",             "dissociation of activating calcium",          _DP, "fitted"),
    "O_2":     Parameter(0.2,     "1/umolar/second",    "binding rate of inactivating calcium",        _DP, "fitted"),
}  # fmt: skip


def _as_in(source: str, **changed: float) -> dict[str, Parameter]:
    """The same constants as another paper has them: those named changed, all of that source."""
    return {name: Parameter(changed.get(name, p.value), p.unit, p.meaning, source, "fitted") for name, p in AM.items()}


def calcium_of_stimberg(K_P: float) -> dict[str, Parameter]:
    """Stimberg2019 rounds the calcium constants of DePitta2009."""
    return _as_in("Stimberg2019", rho_A=0.18, Omega_L=0.1, d2=1.05, d5=0.08, K_P=K_P)


FM = _as_in(_DP, K_P=0.05)
SETS = {
    "AM": AM,
    "FM": FM,
    "LiRinzel1994": _as_in("LiRinzel1994"),          # the numbers that AM takes over
    "NadkarniJung2003": _as_in("NadkarniJung2003"),  # again, and so in NEST's astrocyte_lr_1994
    "DePitta2008_FM": _as_in("DePitta2008", K_P=0.051),
    "Lallouette2014": _as_in("Lallouette2014", K_P=0.05),
    "Stimberg2019_figure_2": calcium_of_stimberg(0.1),
    "Stimberg2019_figure_4": calcium_of_stimberg(0.05),
}

SEEN = {"C": Observable("astrocyte", "umolar", "calcium concentration in the cytosol", 0.0, "C_T"),
        "h": Observable("astrocyte", "1", "IP3 receptors not inactivated by calcium", 0.0, 1.0)}


def _overdrawn(plan: Planned, recording: Recorded) -> Float[Array, "time"]:
    """By how much of all calcium the cytosol holds more than the ER can give: (1 + rho_A) C must stay below C_T."""
    total, ratio = plan.numbers("C_T"), plan.numbers("rho_A")
    return np.maximum(0.0, ((1 + ratio) * recording["C"].values / total).max(axis=1) - 1)


LAWS = (Law("calcium in the cytosol beyond what the ER can give", "zero", _overdrawn),)
_MISSING = "exchange with the outside (total calcium is fixed), microdomains, receptor noise"

MODEL = Model(
    name="li_rinzel",
    summary="calcium and IP3-receptor inactivation at a given IP3 concentration (2 ODEs an astrocyte)",
    populations=(Population("astrocyte", "one calcium compartment each, not coupled", EQUATIONS, lambda o: o["n"]),),
    parameter_sets=SETS,
    initial={"C": Parameter(0.09, "umolar", "calcium at the start", _DP, "stated", "nonnegative"),
             "h": Parameter(0.78, "1", "receptors not inactivated at the start", _DP, "stated", "fraction")},
    inputs={"ip3": Input("astrocyte", "I", "umolar", 0.5, "IP3 concentration", allowed="nonnegative")},
    observables=SEEN,
    options={"n": Option(1, (1, 1_000_000), "astrocytes", later=True)},
    sources=("LiRinzel1994", "DePitta2009"),
    not_modelled=f"IP3 dynamics, {_MISSING}",
    laws=LAWS,
)

DRIVEN_IP3 = "dI/dt = (I_0 - I)/tau_I + J_in : mmolar  # (E2.39) IP3 decays to rest; a spike adds delta_I"

_NJ = "NadkarniJung2003"
DRIVEN = {
    **SETS["NadkarniJung2003"],
    "I_0":     Parameter(0.16,  "umolar", "IP3 at rest",  _NJ, "fitted"),
    "tau_I":   Parameter(7.142, "second", "decay of IP3", _NJ, "fitted"),
    "delta_I": Parameter(0.2,   "umolar", "IP3 that a spike adds (astrocyte_lr_1994 of NEST: delta_IP3 times the "
                         "synapse's weight)", "assumed here", "assumed", "nonnegative"),
}  # fmt: skip


DRIVEN_MODEL = Model(
    name="li_rinzel_driven",
    summary="calcium, IP3-receptor inactivation and IP3 that spikes raise (3 ODEs an astrocyte)",
    populations=(Population("terminal", "sources of spikes", "", lambda o: o["n"]),
                 Population("astrocyte", "one calcium compartment each, not coupled", EQUATIONS + DRIVEN_IP3,
                            lambda o: o["n"])),
    connections=(Connection("synaptic_ip3", "terminal", "astrocyte", "IP3 made at spikes", "",
                            one_to_one(lambda o: o["n"]), on_pre="I_post += delta_I"),),
    parameter_sets={"NadkarniJung2003": DRIVEN},
    initial={"C": Parameter(0.073, "umolar", "calcium at the start", _NJ, "stated", "nonnegative"),
             "h": Parameter(0.793, "1", "receptors not inactivated at the start", _NJ, "stated", "fraction"),
             "I": Parameter(0.16, "umolar", "IP3 at the start", _NJ, "stated", "nonnegative")},
    inputs={"ip3_flux": Input("astrocyte", "J_in", "umolar/second", 0.0, "IP3 let in, whatever the concentration")},
    observables={**SEEN, "I": Observable("astrocyte", "umolar", "IP3 concentration", 0.0)},
    options={"n": Option(1, (1, 1_000_000), "astrocytes, each with its source of spikes")},
    sources=("LiRinzel1994", "NadkarniJung2003"),
    not_modelled=f"degradation of IP3 by calcium, slow inward currents to neurons, {_MISSING}",
    spike_inputs={"spikes": SpikeInput("terminal", "synaptic spikes that reach the astrocyte")},
    laws=LAWS,
)
