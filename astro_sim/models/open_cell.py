"""Calcium of an astrocyte that exchanges it with the outside, so that its total is free.

`open_cell` (Taheri2017, Handy2017) has the IP3 receptor of Li and Rinzel, SERCA pumps that fill the ER, PMCA pumps that
empty the cell, store-operated channels that fill it while the ER is low, and leaks; IP3 is given. `lavrentovich_hemkin`
(LavrentovichHemkin2008) oscillates by itself: calcium makes IP3, and both open the store.

    simulate("open_cell", ip3_transient("single_peak"), duration="120 s", dt="20 ms")
"""

import math

from astro_sim.model import Input, Model, Observable, Option, Population
from astro_sim.parameter import Amount, Parameter, seconds
from astro_sim.protocols import Drive, exponential, expression
from foundation.errors import choose

EQUATIONS = """
dC/dt     = J_release + J_leak - J_serca + delta*J_membrane        : mmolar           # (E2.60) in the cytosol
dC_tot/dt = delta*J_membrane                                       : mmolar           # (E2.61) in the whole cell
dh/dt     = (h_inf - h)/tau_h                                      : 1                # (E2.2) as in li_rinzel
C_ER       = gamma_V*(C_tot - C)                                   : mmolar           # in the ER
J_release  = v_release*(m*h)**3*(C_ER - C)                         : mmolar/second    # through the IP3 receptor
J_leak     = v_leak*(C_ER - C)                                     : mmolar/second
J_serca    = v_serca*(C/K_serca)**1.75/(1 + (C/K_serca)**1.75)     : mmolar/second    # into the ER
J_membrane = v_in - k_out*C + J_soc - J_pmca                       : mmolar/second    # (E2.62) plasma membrane
J_soc      = v_soc/(1 + (C_ER/K_soc)**4)                           : mmolar/second    # store-operated channels
J_pmca     = v_pmca*C**2/(C**2 + K_pmca**2)                        : mmolar/second    # out of the cell
m          = I/(I + d1)*C/(C + d5)                                 : 1                # (E2.3) gating of the receptor
Q2         = d2*(I + d1)/(I + d3)                                  : mmolar
h_inf      = Q2/(Q2 + C)                                           : 1
tau_h      = 1/(O_2*(Q2 + C))                                      : second
"""

_TH = "Taheri2017"
TAHERI = {
    "gamma_V":   Parameter(5.4054,  "1",               "volume of the cytosol over that of the ER", _TH, "stated"),
    "delta":     Parameter(0.2,     "1",               "transport through the membrane of the cell over that of the ER",
                           _TH, "fitted", "nonnegative"),
    "v_release": Parameter(0.222,   "1/second",        "largest rate of release by IP3 receptors", _TH, "fitted"),
    "v_leak":    Parameter(0.002,   "1/second",        "rate of the leak from the ER", _TH, "fitted"),
    "v_serca":   Parameter(0.9,     "umolar/second",   "largest rate of uptake by SERCA pumps", _TH, "stated"),
    "K_serca":   Parameter(0.1,     "umolar",          "calcium affinity of SERCA pumps", _TH, "stated"),
    "v_in":      Parameter(0.05,    "umolar/second",   "constant influx from outside", _TH, "fitted", "nonnegative"),
    "k_out":     Parameter(1.2,     "1/second",        "rate of the leak to the outside", _TH, "fitted", "nonnegative"),
    "v_soc":     Parameter(1.57,    "umolar/second",   "largest influx by store-operated channels",
                           _TH, "fitted", "nonnegative"),
    "K_soc":     Parameter(90.0,    "umolar",          "calcium in the ER at which half of them are open",
                           _TH, "fitted"),
    "v_pmca":    Parameter(10.0,    "umolar/second",   "largest extrusion by PMCA pumps", _TH, "fitted", "nonnegative"),
    "K_pmca":    Parameter(2.5,     "umolar",          "calcium affinity of PMCA pumps", _TH, "fitted"),
    "d1":        Parameter(0.13,    "umolar",          "dissociation of IP3", _TH, "stated"),
    "d2":        Parameter(1.049,   "umolar",          "dissociation of inactivating calcium", _TH, "stated"),
    "d3":        Parameter(0.9434,  "umolar",          "dissociation of IP3, receptor inactivated", _TH, "stated"),
    "d5":        Parameter(0.08234, "umolar",          "dissociation of activating calcium", _TH, "stated"),
    "O_2":       Parameter(0.04,    "1/umolar/second", "binding rate of inactivating calcium, adjusted",
                           _TH, "fitted"),
}  # fmt: skip

MODEL = Model(
    name="open_cell",
    summary="calcium of cytosol and ER with plasma membrane fluxes, at a given IP3 concentration (3 ODEs an astrocyte)",
    populations=(Population("astrocyte", "one compartment each, not coupled", EQUATIONS, lambda o: o["n"]),),
    parameter_sets={"Taheri2017": TAHERI},
    initial={"C": Parameter(0.0865415, "umolar", "calcium at the start, at rest", _TH, "stated", "nonnegative"),
             "C_tot": Parameter(36.49084, "umolar", "calcium of the whole cell at the start, per volume of "
                                "cytosol, at rest", _TH, "stated", "nonnegative"),
             "h": Parameter(0.6255124, "1", "receptors not inactivated at the start, at rest", _TH, "stated",
                            "fraction")},
    inputs={"ip3": Input("astrocyte", "I", "umolar", 0.0, "IP3 concentration", allowed="nonnegative")},
    observables={"C": Observable("astrocyte", "umolar", "calcium concentration in the cytosol", 0.0),
                 "C_tot": Observable("astrocyte", "umolar", "calcium of the whole cell, per volume of cytosol", 0.0),
                 "C_ER": Observable("astrocyte", "umolar", "calcium concentration in the ER", 0.0),
                 "h": Observable("astrocyte", "1", "IP3 receptors not inactivated by calcium", 0.0, 1.0)},
    options={"n": Option(1, (1, 1_000_000), "astrocytes")},
    sources=("Taheri2017", "Handy2017", "LiRinzel1994"),
    not_modelled="IP3 dynamics, calcium buffers, mitochondria, voltage, microdomains, receptor noise",
)

# Handy2017, figure 2: largest IP3 in uM, seconds of its rise, rate of the rise in 1/s, seconds until 5 nM are left
TRANSIENTS = {"single_peak": (0.2, 10.0, 0.2, 97.0), "multi_peak": (0.26, 41.0, 0.12, 200.0),
              "plateau": (0.375, 34.0, 0.002, 138.0), "long_lasting": (0.55, 39.0, 0.002, 179.0)}
LEFT = 0.005  # uM


def ip3_transient(kind: str, start: Amount = "20 s") -> tuple[Drive, Drive]:
    """A stimulus of Handy2017 from `start` on: a saturating rise of the input ip3, then an exponential decay.

    kind: of `TRANSIENTS`, named after the answer of calcium. Errors: `UserError` for another.
    """
    largest, rise, rate, decay = choose("IP3 transient", kind, TRANSIENTS)
    begin = seconds(start, "start")
    # (E2.74) IP3 rises to its largest value at the end of `rise`, and decays to 5 nM in `decay`
    rising = f"{largest!r}*uM*(1 - exp(-{rate!r}/s*(t - {begin!r}*s)))/(1 - exp(-{rate * rise!r}))"
    return (expression("ip3", rising, start=begin, stop=begin + rise, outside="0 uM"),
            exponential("ip3", f"{largest!r} uM", tau=decay / math.log(largest / LEFT), start=begin + rise))


# (E2.65) the store opens by calcium, shuts by more of it, and opens by IP3
LAVRENTOVICH = """
dC/dt    = v_in - k_out*C + J_cicr - J_serca + J_leak              : mmolar           # (E2.63) in the cytosol
dC_ER/dt = J_serca - J_cicr - J_leak                               : mmolar           # (E2.64) in the ER
dI/dt    = v_p*C**2/(C**2 + k_p**2) - k_deg*I + J_in               : mmolar           # (E2.66) IP3: by PLC, degraded
J_cicr   = 4*v_M3*opened*by_ip3*(C_ER - C)                         : mmolar/second
opened   = active/(1 + active)/(active + (k_CaI/k_CaA)**n_CICR)    : 1
active   = (C/k_CaA)**n_CICR                                       : 1
by_ip3   = 1/(1 + (k_IP3/I)**m_CICR)                               : 1
J_serca  = v_M2*C**2/(C**2 + k_2**2)                               : mmolar/second    # into the ER
J_leak   = k_f*(C_ER - C)                                          : mmolar/second
"""

_LH = "LavrentovichHemkin2008"
FIGURE_3 = {
    "v_in":   Parameter(0.05, "umolar/second", "influx of calcium from outside",                        _LH, "stated",
                        "nonnegative"),
    "k_out":  Parameter(0.5,  "1/second",      "rate of efflux to the outside",                         _LH, "stated",
                        "nonnegative"),
    "v_M3":   Parameter(40.0, "1/second",      "largest rate of calcium-induced release",               _LH, "stated"),
    "k_CaA":  Parameter(0.15, "umolar",        "calcium that activates release",                        _LH, "stated"),
    "k_CaI":  Parameter(0.15, "umolar",        "calcium that inhibits release",                         _LH, "stated"),
    "n_CICR": Parameter(2.02, "1",             "Hill exponent of release against calcium",              _LH, "stated"),
    "k_IP3":  Parameter(0.1,  "umolar",        "IP3 at which half of the release is there",             _LH, "stated"),
    "m_CICR": Parameter(2.2,  "1",             "Hill exponent of release against IP3",                  _LH, "stated"),
    "v_M2":   Parameter(15.0, "umolar/second", "largest rate of uptake by SERCA pumps",                 _LH, "stated"),
    "k_2":    Parameter(0.1,  "umolar",        "calcium affinity of SERCA pumps",                       _LH, "stated"),
    "k_f":    Parameter(0.5,  "1/second",      "rate of the leak from the ER",                          _LH, "stated"),
    "v_p":    Parameter(0.05, "umolar/second", "largest production of IP3 by phospholipase C",          _LH, "stated",
                        "nonnegative"),
    "k_p":    Parameter(0.3,  "umolar",        "calcium affinity of phospholipase C",                   _LH, "stated"),
    "k_deg":  Parameter(0.08, "1/second",      "rate of degradation of IP3",                            _LH, "stated"),
}  # fmt: skip

SPONTANEOUS = Model(
    name="lavrentovich_hemkin",
    summary="spontaneous calcium oscillations with influx and efflux: cytosol, ER, IP3 (3 ODEs an astrocyte)",
    populations=(Population("astrocyte", "one compartment each, not coupled", LAVRENTOVICH, lambda o: o["n"]),),
    parameter_sets={"figure_3": FIGURE_3},
    initial={"C": Parameter(0.1, "umolar", "calcium at the start", _LH, "stated", "nonnegative"),
             "C_ER": Parameter(1.5, "umolar", "calcium in the ER at the start", _LH, "stated", "nonnegative"),
             "I": Parameter(0.1, "umolar", "IP3 at the start", _LH, "stated")},
    inputs={"ip3_flux": Input("astrocyte", "J_in", "umolar/second", 0.0, "IP3 let in, whatever the concentration",
                              allowed="nonnegative")},
    observables={"C": Observable("astrocyte", "umolar", "calcium concentration in the cytosol", 0.0),
                 "C_ER": Observable("astrocyte", "umolar", "calcium concentration in the ER", 0.0),
                 "I": Observable("astrocyte", "umolar", "IP3 concentration", 0.0)},
    options={"n": Option(1, (1, 1_000_000), "astrocytes")},
    sources=("LavrentovichHemkin2008",),
    not_modelled="inactivation of the IP3 receptor in time, plasma membrane voltage, calcium buffers, receptor noise; "
                 "the ER has the volume of the cytosol",
)
