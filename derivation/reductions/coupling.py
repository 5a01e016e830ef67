"""The coupling of processes: D, ell and a from astrocytes that exchange IP3 through linear gap junctions.

At rest IP3 obeys k I - F (sum over neighbours of I_j - I) = g' C with the calcium C = g I that follows it. Keep IP3 as
the state: each process gives to its neighbours alone, with D = F/(k - g g'). Or eliminate it: calcium acts on calcium
at every distance, through the messenger's response exp(-d/ell), and that is the dense coupling T. Both have one
steady response, because they are one line of astrocytes.
"""

from collections.abc import Mapping
from functools import cache
from math import log, sqrt

import numpy as np

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from derivation.reductions import resting
from derivation.reductions.cycle import tau_cycle
from derivation.reductions.network import GAMMA_S, gap_matrix, macro_response, steady_calcium
from derivation.reductions.reduction import REST_STEP, Changes, Held, Reduction, Valid, reach, values
from foundation.errors import UserError

ASTROCYTES = 41  # a line so long that its ends change nothing where it is looked at
SEEN = 5         # places from the driven astrocyte at which responses are compared
SMALL = 1e-5     # umolar/second let into the driven astrocyte: a response that is linear to 1e-4


def parameters() -> dict[str, Parameter]:
    """Parameters that the coupling depends on, by name."""
    return resting.parameters() | {"F_linear": MODELS[resting.MODEL].parameters(resting.SET)["F_linear"]}


def at_rest(changes: Changes) -> tuple[resting.Resting, float]:
    """An astrocyte at rest and the rate of exchange with each neighbour (1/second)."""
    flux = values(parameters(), changes)["F_linear"]
    return resting.at_rest({key: value for key, value in (changes or {}).items() if key != "F_linear"}), flux


def diffusive(changes: Changes = None) -> float:
    """D: exchange between neighbours over the loss of IP3 in the steady state, in units of gamma_s."""
    rest, flux = at_rest(changes)
    # (E3.7) D = gamma_s F_linear/(k - g production), g = dC/dI at rest, k = decay of IP3
    return GAMMA_S * flux / rest.slow_decay


def _messenger(changes: Changes) -> tuple[float, float]:
    """(lam, share): the messenger's response falls by lam from place to place; of it, what calcium gets back itself."""
    rest, flux = at_rest(changes)
    half = 1 + rest.decay_of_ip3 / (2 * flux)
    lam = half - sqrt(half**2 - 1)
    alone = sqrt(rest.decay_of_ip3 * (rest.decay_of_ip3 + 4 * flux))
    return lam, rest.gain * rest.production / alone


def length(changes: Changes = None) -> float:
    """ell: length, in places, of the response of IP3 to a source in one astrocyte, calcium held elsewhere."""
    # (E3.8) ell = -1/ln lam, lam + 1/lam = 2 + k/F_linear
    return -1 / log(_messenger(changes)[0])


def amplitude(changes: Changes = None) -> float:
    """a: calcium that calcium of one process causes in others, by the IP3 it makes, in units of gamma_s.

    What comes back to the process itself lowers its own decay; the whole is divided by that, so that gamma_s stays.
    Errors: `UserError` where calcium would sustain itself.
    """
    share = _messenger(changes)[1]
    if not 0 < share < 1:
        raise UserError(f"coupling: calcium returns {share:g} of itself through the IP3 that it makes; a coupling that "
                        "falls with distance needs a share between 0 and 1")
    # (E3.9) a = gamma_s A/(1 - A), A = g production/sqrt(k (k + 4 F_linear))
    return GAMMA_S * share / (1 - share)


# ---------------------------------------------------------------------------------------------- against the full


def _line() -> tuple[np.ndarray, int]:
    return gap_matrix({"layout": "line", "n_columns": ASTROCYTES}), ASTROCYTES // 2


def dense_matrix(distance: np.ndarray) -> np.ndarray:
    """Dense coupling at a distance in places, in the unit of `amplitude`; 0 at distance 0."""
    return np.where(distance > 0, amplitude() * np.exp(-distance / length()), 0.0)


def responses(kind: str, flux: float) -> tuple[np.ndarray, np.ndarray]:
    """(full, reduced) calcium at 0 to 5 places from the driven astrocyte, over its own.

    `kind` 'diffusive': IP3 is let in. 'dense': calcium is, so that only IP3 made by calcium spreads.
    """
    matrix, driven = _line()
    place = np.arange(ASTROCYTES)
    if kind == "diffusive":
        full, coupling = steady_calcium(matrix, driven, ip3_flux=flux), diffusive() * matrix
    else:
        full = steady_calcium(matrix, driven, calcium_flux=flux)
        coupling = dense_matrix(np.abs(place[:, None] - place).astype(float))
    seen = slice(driven, driven + SEEN + 1)
    return full[seen] / full[driven], macro_response(coupling, driven)[seen]


def calcium_gained(kind: str, flux: float) -> float:
    """Calcium above rest (umolar) of the driven astrocyte."""
    matrix, driven = _line()
    let_in = {"ip3_flux" if kind == "diffusive" else "calcium_flux": flux}
    return float(steady_calcium(matrix, driven, **let_in)[driven])


def _held(kind: str, others: Mapping[str, float]) -> Held:
    def error(flux: float) -> float:
        try:
            full, reduced = responses(kind, flux)
        except UserError:  # no steady response any more
            return np.inf
        return float(np.abs(full / reduced - 1).max())

    top = reach(error, SMALL, 1.0)
    return Held(error(SMALL), f"calcium at 1 to {SEEN} places from the driven astrocyte, over its own",
                Valid("steady rise of calcium in the driven astrocyte", "umolar", low=0.0,
                      high=calcium_gained(kind, top)),
                others)


def at_cycle() -> tuple[float, float]:
    """(D, ell) for a drive that changes with the calcium cycle, in size: IP3 has less time to spread."""
    rest, flux = at_rest(None)
    turn = 2j * np.pi / tau_cycle()
    jacobian = rest.jacobian
    follows = np.linalg.solve(turn * np.eye(2) - jacobian[:2, :2], jacobian[:2, 2])
    lost = turn - jacobian[2, 2] - jacobian[2, :2] @ follows
    half = 1 + (rest.decay_of_ip3 + turn) / (2 * flux)
    lam = min(np.abs(half + np.sqrt(half**2 - 1)), np.abs(half - np.sqrt(half**2 - 1)))
    return GAMMA_S * flux / float(np.abs(lost)), -1 / log(float(lam))


@cache
def diffusive_held() -> Held:
    """Diffusive coupling against the chain of astrocytes."""
    return _held("diffusive", {"for a drive that changes with the cycle": at_cycle()[0]})


@cache
def ell_held() -> Held:
    """The length of dense coupling against the chain of astrocytes."""
    return _held("dense", {"for a drive that changes with the cycle": at_cycle()[1]})


@cache
def a_held() -> Held:
    """The strength of dense coupling against the chain of astrocytes."""
    return _held("dense", {})


_LINE = f"a line of {ASTROCYTES} astrocytes without glutamate, linear gap junctions"
_STEADY = ("the time that IP3 takes to spread (see tau_ps; the coupling is that of a drive which stays, one that "
           "changes with the cycle reaches less far), and what is not linear in calcium")

REDUCTIONS = {
    "D": Reduction(
        value=diffusive,
        parameters=parameters,
        model=f"{resting.MODEL}:{resting.SET}",
        relative_step=REST_STEP,
        unit="1",
        meaning="diffusive coupling of neighbours",
        equation="E3.7",
        protocol=f"{_LINE}; IP3 let into the middle one, steady",
        neglected=_STEADY,
        held=diffusive_held,
        owners=resting.owners()),
    "ell": Reduction(
        value=length,
        parameters=parameters,
        model=f"{resting.MODEL}:{resting.SET}",
        relative_step=REST_STEP,
        unit="1",
        meaning="length of the dense coupling, in places",
        equation="E3.8",
        protocol=f"{_LINE}; calcium let into the middle one, steady",
        neglected=_STEADY,
        held=ell_held,
        owners=resting.owners()),
    "a": Reduction(
        value=amplitude,
        parameters=parameters,
        model=f"{resting.MODEL}:{resting.SET}",
        relative_step=REST_STEP,
        unit="1",
        meaning="dense coupling at distance 0",
        equation="E3.9",
        protocol=f"{_LINE}; calcium let into the middle one, steady",
        neglected=_STEADY,
        held=a_held,
        owners=resting.owners()),
}
