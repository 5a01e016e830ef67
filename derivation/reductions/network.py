"""The full model behind the coupling: nonlinear astrocytes that exchange IP3, in their steady state."""

from collections.abc import Mapping

import numpy as np

from astro_sim.models import MODELS, astrocyte_network
from derivation.reductions import resting
from foundation.errors import UserError

GAMMA_S = MODELS["macro"].parameters()["gamma_s"].value


def gap_matrix(options: Mapping) -> np.ndarray:
    """Sum over neighbours of (I_j - I_i) as a matrix, float64 [astrocyte, astrocyte]."""
    options = MODELS[resting.MODEL].read_options(options)
    pairs, count = astrocyte_network.neighbours(options), astrocyte_network.astrocytes(options)
    matrix = np.zeros((count, count))
    matrix[pairs.target, pairs.source] = 1.0
    return matrix - np.diag(matrix.sum(axis=1))


def steady_calcium(matrix: np.ndarray, driven: int, *, ip3_flux: float = 0.0, calcium_flux: float = 0.0) -> np.ndarray:
    """Calcium above rest (umolar) of every astrocyte, in the steady state of the whole nonlinear network.

    Fluxes in umolar/second enter the driven one. Newton's method from rest; errors: `UserError` where it finds no
    steady state, or one that is not stable (calcium oscillates).
    """
    rest, right_side, count = resting.at_rest(), resting.flow(), len(matrix)
    flux = MODELS[resting.MODEL].parameters(resting.SET)["F_linear"].value
    base = np.array([rest.calcium * resting.MICROMOLAR, rest.h, rest.ip3 * resting.MICROMOLAR])
    states = np.repeat(base[:, None], count, axis=1)
    for _ in range(40):
        slope = _with_gaps(resting.derivatives(right_side, states), flux * matrix)
        missing = right_side(states, 0.0)
        missing[2] += flux * matrix @ states[2]
        missing[[0, 2], driven] += np.array([calcium_flux, ip3_flux]) * resting.MICROMOLAR
        change = np.linalg.solve(slope, missing.ravel()).reshape(3, count)
        states = states - change
        if np.abs(change / states).max() < 1e-12:
            break
    slope = _with_gaps(resting.derivatives(right_side, states), flux * matrix)
    if not np.abs(change / states).max() < 1e-9 or np.linalg.eigvals(slope).real.max() >= 0:
        raise UserError(f"coupling: {ip3_flux:g} umolar/second of IP3 and {calcium_flux:g} of calcium leave no steady "
                        "state; let in less")
    return states[0] / resting.MICROMOLAR - rest.calcium


def _with_gaps(single: np.ndarray, exchange: np.ndarray) -> np.ndarray:
    """Jacobian of the network, [3n, 3n], from those of its elements [3, 3, n] and the exchange of IP3 [n, n]."""
    count = len(exchange)
    whole = np.einsum("rcn,nm->rncm", single, np.eye(count))
    whole[2, :, 2, :] += exchange
    return whole.reshape(3 * count, 3 * count)


def macro_response(matrix: np.ndarray, driven: int) -> np.ndarray:
    """Linear steady state (gamma_s - T) p = drive of the macro model, over the driven one's."""
    drive = np.zeros(len(matrix))
    drive[driven] = 1.0
    found = np.linalg.solve(GAMMA_S * np.eye(len(matrix)) - matrix, drive)
    return found / found[driven]
