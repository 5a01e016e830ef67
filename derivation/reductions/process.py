"""The short-term process: what p_s stands for, how fast it decays, and how it acts: tau_ps and psi_width.

Candidates for p_s. Receptors bound by gliotransmitter (Gamma_S) act on release, yet unbind within minutes: with a
release in each calcium cycle they stay bound, and nothing of them passes from process to process. Gliotransmitter
itself is gone in milliseconds. IP3 passes through gap junctions, and rests again within a minute, which is longer than
a cycle. Calcium is what the synapse raises in the process, what IP3 from neighbours raises, what releases
gliotransmitter, and whose cycle is tau_cycle: p_s is calcium above its rest. The others stand as other readings.
"""

from functools import cache
from math import atanh, exp, sqrt

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from astro_sim.models import MODELS
from astro_sim.models.tripartite import release
from derivation.reductions import resting
from derivation.reductions.reduction import REST_STEP, Changes, Held, Reduction, Valid, reach, values

GAMMA_S = MODELS["macro"].parameters()["gamma_s"].value
SMALL = 0.01  # umolar: the calcium that a process gains at once, in the protocol of its decay
PEAK = 0.4446  # umolar: the top of the calcium oscillation of li_rinzel:AM at 0.5 umolar of IP3


def tau_ps(changes: Changes = None) -> float:
    """Time constant of the short-term process in seconds: calcium above rest is taken up again."""
    # (E3.5) tau_ps = -gamma_s/(dC'/dC) at rest
    return GAMMA_S / resting.at_rest(changes).decay_of_calcium


def calcium_decay(gained: float, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(full, reduced): calcium above rest at `time` [n] (s) after `gained` umolar came at once, over `gained`."""
    rest, right_side = resting.at_rest(), resting.flow()
    base = np.array([rest.calcium * resting.MICROMOLAR, rest.h, rest.ip3 * resting.MICROMOLAR])
    start = base + [gained * resting.MICROMOLAR, 0, 0]
    course = solve_ivp(lambda t, y: right_side(y, 0.0), (0, time[-1]), start, "LSODA", time, rtol=1e-9, atol=1e-13)
    return (course.y[0] - base[0]) / (gained * resting.MICROMOLAR), np.exp(-GAMMA_S * time / tau_ps())


@cache
def tau_ps_held() -> Held:
    """One time constant of calcium against the full model's decay."""
    time = np.linspace(0, 8 * tau_ps(), 161)

    def error(gained: float) -> float:
        full, reduced = calcium_decay(gained, time)
        return float(np.abs(full - reduced).max())

    table = MODELS["tripartite"].parameters()
    return Held(error(SMALL), f"calcium above rest after a gain of {SMALL} umolar, as a share of it",
                Valid("calcium that a process gains at once", "umolar", low=0.0, high=reach(error, SMALL, 2.0)),
                {"bound receptors (Gamma_S): 1/Omega_G": GAMMA_S / table["Omega_G"].value,
                 "their effect on release at 2 hertz falls to 1/e": GAMMA_S * effect_on_release(2.0),
                 "gliotransmitter (G_A): 1/Omega_e": GAMMA_S / table["Omega_e"].value,
                 "IP3, calcium and h following": GAMMA_S / resting.at_rest().slow_decay})


def effect_on_release(rate: float) -> float:
    """Seconds in which what one release of gliotransmitter takes from a regular train's release falls to 1/e."""
    table = {name: one.value for name, one in MODELS["tripartite"].parameters("release_decreasing").items()}
    J = table["rho_e"] * 1e3 * table["O_G"] * table["G_T"] / table["Omega_e"]  # G_T in mmolar, O_G per umolar
    bound = release.bound_by_release(0.0, 1.0, J, table["U_A"])

    def lost(time: float) -> float:
        U_0 = release.resting_probability(table["U_0_star"], bound * exp(-table["Omega_G"] * time), 0.0)
        whole = release.regular_train(table["U_0_star"], rate, table["Omega_f"], table["Omega_d"])[2]
        return 1 - release.regular_train(U_0, rate, table["Omega_f"], table["Omega_d"])[2] / whole

    return brentq(lambda time: lost(time) - lost(0.0) / np.e, 0, 20 / table["Omega_G"])


# ---------------------------------------------------------------------------------------------- psi


def _share(calcium, K_delta: float):
    """Production of IP3 by PLC delta at a calcium concentration, over its largest (E2.4)."""
    return calcium**2 / (calcium**2 + K_delta**2)


def psi_width(changes: Changes = None) -> float:
    """Calcium above rest, in umolar, that p_s = 1 stands for: psi = tanh(p_s) is half its largest where production is.

    What a process sends to others is IP3 that its calcium makes (PLC delta); psi is that production above its rest,
    over the largest.
    """
    K_delta = values(resting.parameters(), changes)["K_delta"]
    calcium = resting.at_rest(changes).calcium
    base = _share(calcium, K_delta)
    half = K_delta * sqrt((1 + base) / (1 - base))
    # (E3.6) psi_width = (C_half - C_rest)/atanh(1/2), production at C_half midway between rest and largest
    return (half - calcium) / atanh(0.5)


def production(calcium) -> tuple:
    """(full, reduced): production of IP3 above rest over its largest at calcium (umolar), and tanh."""
    rest, K_delta = resting.at_rest().calcium, resting.parameters()["K_delta"].value
    base = _share(rest, K_delta)
    return (_share(calcium, K_delta) - base) / (1 - base), np.tanh((calcium - rest) / psi_width())


@cache
def psi_held() -> Held:
    """tanh against the production of IP3 in the full model."""
    rest = resting.at_rest().calcium

    def error(calcium) -> float:
        full, reduced = production(calcium)
        return float(np.abs(full - reduced).max())

    # tanh and production meet at rest and at half, and part above: the range ends there
    top = reach(error, rest, 1.2)
    return Held(error(np.linspace(rest, PEAK, 400)), "production of IP3 above rest over its largest, rest to the peak "
                "of the oscillation", Valid("calcium of a process", "umolar", low=rest, high=top))


REDUCTIONS = {
    "tau_ps": Reduction(
        value=tau_ps,
        parameters=resting.parameters,
        model=f"{resting.MODEL}:{resting.SET}",
        relative_step=REST_STEP,
        unit="second",
        meaning="time constant of the short-term process: calcium of the astrocyte process above its rest",
        equation="E3.5",
        protocol=f"an astrocyte at rest without glutamate gains {SMALL:g} umolar of calcium at once",
        neglected="that h and IP3 answer; the slower after-effect on release, see the other readings",
        held=tau_ps_held,
        owners=resting.owners()),
    "psi_width": Reduction(
        value=psi_width,
        parameters=resting.parameters,
        model=f"{resting.MODEL}:{resting.SET}",
        relative_step=REST_STEP,
        unit="umolar",
        meaning="calcium above rest that p_s = 1 stands for",
        equation="E3.6",
        protocol="production of IP3 by PLC delta at held calcium, from rest to the peak of the oscillation",
        neglected="that production bends up at low calcium (exponent 2) and reaches its largest later than tanh",
        held=psi_held,
        owners=resting.owners()),
}
