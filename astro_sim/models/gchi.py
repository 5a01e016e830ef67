"""IP3 and calcium of an astrocyte under glutamate: production through receptors, degradation, with or without noise.

Four models of one text: glutamate held at the receptors (gchi) or binding to them in time (gchi_receptor), each with
a deterministic or a stochastic IP3 receptor (_stochastic). There is one noise term, so that NumPy, Cython and C++ draw
the same numbers in the same order: a seed gives one course on all of them.

With receptors IP3 is exchanged with a source outside, as in Stimberg2019: at the source's level zero it drains, and
without it these parameters have no low rest: an astrocyte left alone would release. So a figure of that paper is one
set: values, exchange and start.

Noise is integrated by Heun's rule, of strong order 1 (measured on common paths). Brian2's milstein, which can be asked
for, is of strong order 1/2 on Stratonovich noise: its supporting value has the drift in it, and that times dW^2 has a
mean of order dt^1.5 in every step.
"""

from collections.abc import Mapping
from dataclasses import replace

from astro_sim.model import Input, Model, Observable, Option, Population
from astro_sim.models.li_rinzel import AM as LI_RINZEL_AM
from astro_sim.models.li_rinzel import EQUATIONS as CALCIUM
from astro_sim.models.li_rinzel import FM as LI_RINZEL_FM
from astro_sim.models.li_rinzel import LAWS, calcium_of_stimberg
from astro_sim.parameter import Parameter

IP3 = """
dI/dt   = J_beta + J_delta - J_3K - J_5P                         : mmolar         # (E2.4) IP3
J_delta = O_delta/(1 + I/kappa_delta)*C**2/(C**2 + K_delta**2)   : mmolar/second  # PLC delta, in step with calcium
J_3K    = O_3K*C**4/(C**4 + K_D**4)*I/(I + K_3K)                 : mmolar/second  # IP3 3-kinase
J_5P    = Omega_5P*I                                             : mmolar/second  # IP3 5-phosphatase
"""

MADE = "J_beta + J_delta - J_3K - J_5P"
SUPPLIED_IP3 = IP3.replace(MADE, f"{MADE} + J_ex")  # with what comes from outside, or goes there
# The papers' sign(gap) jumps at 0 by 1e-5 of the flux: a cell at the source's own level would be thrown below it at
# every step, to a negative IP3 where that is 0, and a solver that controls its error would not get on.
SIDE = "clip({gap}/(1e-5*omega_I), -1, 1)"
SOURCE = f"""
gap_ex  = ip3_source - I : mmolar
J_ex    = F_ex/2*(1 + tanh((abs(gap_ex) - I_Theta)/omega_I))*side_ex : mmolar/second  # (E2.23) source outside
side_ex = {SIDE.format(gap="gap_ex")} : 1
"""

CLAMPED = """
J_beta = v_beta*bound/(1 + bound)                                : mmolar/second  # (E2.5) PLC beta at held glutamate
bound  = (glutamate/(K_R + K_p*C/(C + K_pi)))**n_beta            : 1              # PKC lowers the affinity
"""

RECEPTOR = """
dGamma_A/dt = O_N*glutamate*(1 - Gamma_A) - Omega_N*(1 + zeta*C/(C + K_KC))*Gamma_A : 1   # (E2.6) receptors bound
J_beta = O_beta*Gamma_A                                          : mmolar/second
"""

ASTROCYTE = CALCIUM + SUPPLIED_IP3 + RECEPTOR + SOURCE  # one with receptors, wherever it is

STILL = "dh/dt = (h_inf - h)/tau_h             : 1"
# (E2.7) each rate of the receptor fluctuates: white noise of relative size sqrt(tau_h), read as Stratonovich
NOISY = "dh/dt = (h_inf - h)/tau_h*(1 + sqrt(tau_h)*xi) : 1"

_DP, _ST, _HERE = "DePitta2009", "Stimberg2019", "assumed here"


def _table(source: str, rows: dict) -> dict[str, Parameter]:
    """name -> (value, unit, meaning), all of one source."""
    return {name: Parameter(value, unit, meaning, source, "fitted") for name, (value, unit, meaning) in rows.items()}


def degradation(source: str, O_delta: float, K_delta: float, Omega_5P: float, K_D: float, O_3K: float) -> dict:
    """Production of IP3 by PLC delta and both ways of its degradation: parameters by name; units in the table."""
    return _table(source, {
        "O_delta":     (O_delta,  "umolar/second", "largest production of IP3 by PLC delta"),
        "kappa_delta": (1.5,      "umolar",        "inhibition of PLC delta by IP3"),
        "K_delta":     (K_delta,  "umolar",        "calcium affinity of PLC delta"),
        "Omega_5P":    (Omega_5P, "1/second",      "rate of degradation by IP3 5-phosphatase"),
        "O_3K":        (O_3K,     "umolar/second", "largest degradation by IP3 3-kinase"),
        "K_D":         (K_D,      "umolar",        "calcium affinity of IP3 3-kinase"),
        "K_3K":        (1.0,      "umolar",        "IP3 affinity of IP3 3-kinase"),
    })  # fmt: skip


def clamped(v_beta: float) -> dict:
    """Production of IP3 at clamped glutamate (DePitta2009): parameters by name; v_beta in umolar/second."""
    return _table(_DP, {
        "v_beta": (v_beta, "umolar/second", "largest production of IP3 by PLC beta"),
        "K_R":    (1.3,    "umolar",        "glutamate affinity of the receptor"),
        "K_p":    (10.0,   "umolar",        "loss of that affinity by PKC"),
        "K_pi":   (0.6,    "umolar",        "calcium affinity of PKC"),
        "n_beta": (0.7,    "1",             "Hill exponent of production against glutamate"),
    })  # fmt: skip


def receptor(O_beta: float) -> dict:
    """Production of IP3 by receptors that glutamate binds (Stimberg2019): by name; O_beta in umolar/second."""
    return _table(_ST, {
        "O_beta":  (O_beta, "umolar/second",   "production of IP3 by PLC beta, all receptors bound"),
        "O_N":     (0.3,    "1/umolar/second", "binding of glutamate to receptors"),
        "Omega_N": (0.5,    "1/second",        "unbinding at low calcium"),
        "K_KC":    (0.5,    "umolar",          "calcium affinity of PKC"),
        "zeta":    (10.0,   "1",               "largest increase of unbinding by PKC"),
    })  # fmt: skip


def exchange(F_ex: float, source: str = _ST) -> dict:
    """Exchange of IP3 with a source outside, and where it opens: parameters by name; F_ex in umolar/second."""
    return {
        "I_Theta": Parameter(0.3, "umolar", "difference of IP3 at which its exchange is half open", _ST, "fitted"),
        "omega_I": Parameter(0.05, "umolar", "width of that threshold", _ST, "fitted"),
        "F_ex":    Parameter(F_ex, "umolar/second", "largest flux from the source outside (0: none)", source,
                             "fitted" if source == _ST else "assumed", "nonnegative"),
    }  # fmt: skip


def assumed(table: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The same values, which a set needs and its source does not have."""
    return {name: replace(parameter, source=_HERE, basis="assumed") for name, parameter in table.items()}


def start(C: float, h: float, I: float) -> dict[str, Parameter]:
    """The start of a figure of Stimberg2019; what its program does not set is zero. C and I in umolar."""
    return {name: replace(INITIAL[name], value=value, source=_ST) for name, value in (("C", C), ("h", h), ("I", I))}


CLAMPED_SETS = {
    "AM": {**LI_RINZEL_AM, **clamped(0.2), **degradation(_DP, 0.02, 0.1, 0.04, 0.7, 2.0)},
    "FM": {**LI_RINZEL_FM, **clamped(0.5), **degradation(_DP, 0.05, 0.1, 0.05, 0.7, 2.0)},
}
# the figures of Stimberg2019 differ in their values without saying why: each figure is a set of its own
_FIGURES_3_AND_4 = {**calcium_of_stimberg(0.05), **degradation(_ST, 0.6, 0.1, 0.05, 0.7, 4.5), **exchange(2.0)}
RECEPTOR_SETS = {
    "figure_2": {**calcium_of_stimberg(0.1), **receptor(5.0), **degradation(_ST, 0.2, 0.3, 0.1, 0.5, 4.5),
                 **exchange(0.09)},
    "figure_3": {**_FIGURES_3_AND_4, **assumed(receptor(3.2))},  # its astrocytes have no receptors: those of figure 4
    "figure_4": {**_FIGURES_3_AND_4, **receptor(3.2)},
}

INITIAL = {
    "C": Parameter(0.09, "umolar", "calcium at the start", _DP, "stated", "nonnegative"),
    "h": Parameter(0.78, "1", "receptors not inactivated at the start", _DP, "stated", "fraction"),
    "I": Parameter(0.22, "umolar", "IP3 at the start", _DP, "stated", "nonnegative"),
}
RECEPTOR_STARTS = {"figure_2": start(0.0, 0.9, 0.0), "figure_3": start(0.0, 0.9, 0.4), "figure_4": start(0.0, 0.9, 0.0)}
UNBOUND = {"Gamma_A": Parameter(0.0, "1", "no receptor bound", _HERE, "assumed", "fraction")}
OBSERVABLES = {
    "C": Observable("astrocyte", "umolar", "calcium concentration in the cytosol", 0.0, "C_T"),
    "h": Observable("astrocyte", "1", "IP3 receptors not inactivated by calcium", 0.0, 1.0),
    "I": Observable("astrocyte", "umolar", "IP3 concentration", 0.0),
}
BOUND = {"Gamma_A": Observable("astrocyte", "1", "receptors that have bound glutamate", 0.0, 1.0)}
IP3_SOURCE = Input("astrocyte", "ip3_source", "umolar", 0.0, "IP3 of a source that F_ex couples each astrocyte to "
                   "(I_bias of the papers); at 0 it takes IP3 from those above I_Theta", allowed="nonnegative")
MISSING = "exchange of IP3 with other cells, calcium from outside (total calcium is fixed), microdomains"


def _model(name: str, summary: str, text: str, sets: dict, seen: dict, noisy: bool) -> Model:
    """One of the four; the noisy ones put h back into [0, 1] after each step, and integrate by Heun's rule."""
    kept = {"threshold": "h > 1 or h < 0", "reset": "h = clip(h, 0, 1)"} if noisy else {}
    glutamate = Input("astrocyte", "glutamate", "umolar", 2.0, "glutamate at the receptors",
                      allowed="nonnegative")
    binds = sets is RECEPTOR_SETS
    return Model(
        name=name,
        summary=summary,
        populations=(Population("astrocyte", "one compartment each, not coupled",
                                text.replace(STILL, NOISY) if noisy else text, lambda o: o["n"], **kept),),
        parameter_sets=sets,
        initial=INITIAL | (UNBOUND if binds else {}),
        inputs={"glutamate": glutamate} | ({"ip3_source": IP3_SOURCE} if binds else {}),
        observables=seen,
        options={"n": Option(1, (1, 1_000_000), "astrocytes")},
        sources=("DePitta2009", "Stimberg2019") if binds else ("LiRinzel1994", "DePitta2009"),
        not_modelled=MISSING,
        method="heun" if noisy else "rk4",
        laws=LAWS,
        starts=RECEPTOR_STARTS if binds else {},
    )


_HELD = "calcium and IP3 at a given glutamate concentration (3 ODEs an astrocyte)"
_BINDS = "calcium, IP3 and glutamate receptors (4 ODEs an astrocyte)"
_CLAMPED = CALCIUM + IP3 + CLAMPED
MODEL = _model("gchi", _HELD, _CLAMPED, CLAMPED_SETS, OBSERVABLES, False)
STOCHASTIC = _model("gchi_stochastic", f"{_HELD}, noisy IP3 receptors", _CLAMPED, CLAMPED_SETS, OBSERVABLES, True)
BINDING = _model("gchi_receptor", _BINDS, ASTROCYTE, RECEPTOR_SETS, OBSERVABLES | BOUND, False)
BINDING_STOCHASTIC = _model("gchi_receptor_stochastic", f"{_BINDS}, noisy IP3 receptors", ASTROCYTE, RECEPTOR_SETS,
                            OBSERVABLES | BOUND, True)
