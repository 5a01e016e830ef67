"""IP3 and calcium of an astrocyte under glutamate: production through receptors, degradation, with or without noise.

Four models of one text: glutamate held at the receptors (gchi) or binding to them in time (gchi_receptor), each with
a deterministic or a stochastic IP3 receptor (_stochastic). There is one noise term, so that NumPy, Cython and C++ draw
the same numbers in the same order: a seed gives one course on all of them.

Noise is integrated by Heun's rule, of strong order 1 (measured on common paths). Brian2's milstein, which can be asked
for, is of strong order 1/2 on Stratonovich noise: its supporting value has the drift in it, and that times dW^2 has a
mean of order dt^1.5 in every step.
"""

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

CLAMPED = """
J_beta = v_beta*bound/(1 + bound)                                : mmolar/second  # (E2.5) PLC beta at held glutamate
bound  = (glutamate/(K_R + K_p*C/(C + K_pi)))**n_beta            : 1              # PKC lowers the affinity
"""

RECEPTOR = """
dGamma_A/dt = O_N*glutamate*(1 - Gamma_A) - Omega_N*(1 + zeta*C/(C + K_KC))*Gamma_A : 1   # (E2.6) receptors bound
J_beta = O_beta*Gamma_A                                          : mmolar/second
"""

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


CLAMPED_SETS = {
    "AM": {**LI_RINZEL_AM, **clamped(0.2), **degradation(_DP, 0.02, 0.1, 0.04, 0.7, 2.0)},
    "FM": {**LI_RINZEL_FM, **clamped(0.5), **degradation(_DP, 0.05, 0.1, 0.05, 0.7, 2.0)},
}
# the figures of Stimberg2019 differ in their values without saying why: each figure is a set of its own
RECEPTOR_SETS = {
    "figure_2": {**calcium_of_stimberg(0.1), **receptor(5.0), **degradation(_ST, 0.2, 0.3, 0.1, 0.5, 4.5)},
    "figure_4": {**calcium_of_stimberg(0.05), **receptor(3.2), **degradation(_ST, 0.6, 0.1, 0.05, 0.7, 4.5)},
}

INITIAL = {
    "C": Parameter(0.09, "umolar", "calcium at the start", _DP, "stated", "nonnegative"),
    "h": Parameter(0.78, "1", "receptors not inactivated at the start", _DP, "stated", "fraction"),
    "I": Parameter(0.22, "umolar", "IP3 at the start", _DP, "stated", "nonnegative"),
}
UNBOUND = {"Gamma_A": Parameter(0.0, "1", "no receptor bound", _HERE, "assumed", "fraction")}
OBSERVABLES = {
    "C": Observable("astrocyte", "umolar", "calcium concentration in the cytosol", 0.0, "C_T"),
    "h": Observable("astrocyte", "1", "IP3 receptors not inactivated by calcium", 0.0, 1.0),
    "I": Observable("astrocyte", "umolar", "IP3 concentration", 0.0),
}
BOUND = {"Gamma_A": Observable("astrocyte", "1", "receptors that have bound glutamate", 0.0, 1.0)}
MISSING = "exchange of IP3 with other cells, calcium from outside (total calcium is fixed), microdomains"


def _model(name: str, summary: str, production: str, sets: dict, initial: dict, seen: dict, noisy: bool) -> Model:
    """One of the four; the noisy ones put h back into [0, 1] after each step, and integrate by Heun's rule."""
    text = CALCIUM + IP3 + production
    kept = {"threshold": "h > 1 or h < 0", "reset": "h = clip(h, 0, 1)"} if noisy else {}
    glutamate = Input("astrocyte", "glutamate", "umolar", 2.0, "glutamate at the receptors",
                      allowed="nonnegative")
    return Model(
        name=name,
        summary=summary,
        populations=(Population("astrocyte", "one compartment each, not coupled",
                                text.replace(STILL, NOISY) if noisy else text, lambda o: o["n"], **kept),),
        parameter_sets=sets,
        initial=initial,
        inputs={"glutamate": glutamate},
        observables=seen,
        options={"n": Option(1, (1, 1_000_000), "astrocytes")},
        sources=("LiRinzel1994", "DePitta2009") if sets is CLAMPED_SETS else ("DePitta2009", "Stimberg2019"),
        not_modelled=MISSING,
        method="heun" if noisy else "rk4",
        laws=LAWS,
    )


_HELD = "calcium and IP3 at a given glutamate concentration (3 ODEs an astrocyte)"
_BINDS = "calcium, IP3 and glutamate receptors (4 ODEs an astrocyte)"
MODEL = _model("gchi", _HELD, CLAMPED, CLAMPED_SETS, INITIAL, OBSERVABLES, False)
STOCHASTIC = _model("gchi_stochastic", f"{_HELD}, noisy IP3 receptors", CLAMPED, CLAMPED_SETS, INITIAL, OBSERVABLES,
                    True)
BINDING = _model("gchi_receptor", _BINDS, RECEPTOR, RECEPTOR_SETS, INITIAL | UNBOUND, OBSERVABLES | BOUND, False)
BINDING_STOCHASTIC = _model("gchi_receptor_stochastic", f"{_BINDS}, noisy IP3 receptors", RECEPTOR, RECEPTOR_SETS,
                            INITIAL | UNBOUND, OBSERVABLES | BOUND, True)
