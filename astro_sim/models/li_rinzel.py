"""Calcium oscillations of an astrocyte at a given IP3 concentration: the Li-Rinzel reduction of De Young-Keizer."""

from astro_sim.model import Input, Model, Observable, Population
from astro_sim.parameter import Parameter

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
FM = {**AM, "K_P": Parameter(0.05, "umolar", "calcium affinity of SERCA pumps", _DP, "fitted")}

MODEL = Model(
    name="li_rinzel",
    summary="calcium and IP3-receptor inactivation at a given IP3 concentration (2 ODEs an astrocyte)",
    populations=(Population("astrocyte", "one calcium compartment each, not coupled", EQUATIONS),),
    parameter_sets={"AM": AM, "FM": FM},
    initial={"C": Parameter(0.09, "umolar", "calcium at the start", _DP, "stated", "nonnegative"),
             "h": Parameter(0.78, "1", "receptors not inactivated at the start", _DP, "stated", "fraction")},
    inputs={"ip3": Input("astrocyte", "I", "umolar", 0.5, "IP3 concentration")},
    observables={"C": Observable("astrocyte", "umolar", "calcium concentration in the cytosol", 0.0, "C_T"),
                 "h": Observable("astrocyte", "1", "IP3 receptors not inactivated by calcium", 0.0, 1.0)},
    sources=("LiRinzel1994", "DePitta2009"),
    not_modelled="IP3 dynamics, exchange with the outside (total calcium is fixed), microdomains, receptor noise",
)
