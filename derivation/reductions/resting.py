"""An astrocyte at rest: calcium, inactivation and IP3 without glutamate, and how they answer to small changes."""

import dataclasses
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from astro_sim.dynamics.derivatives import STEP
from astro_sim.dynamics.local import Local
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from derivation.reductions.reduction import Changes, values
from foundation.errors import UserError

MODEL, SET, ALONE = "astrocyte_network", "AM", "gchi"  # one astrocyte of the network is gchi, with the same numbers
CALCIUM_MODEL = "li_rinzel:AM"
IP3 = ("O_delta", "kappa_delta", "K_delta", "Omega_5P", "O_3K", "K_D", "K_3K")
MICROMOLAR = 1e-3  # of mol/m^3, the unit in which flows are computed


def parameters() -> dict[str, Parameter]:
    """What a steady state without glutamate rests on: not O_2, a rate of h alone, nor production by receptors."""
    table = MODELS[MODEL].parameters(SET)
    calcium = [name for name in MODELS["li_rinzel"].parameters(SET) if name != "O_2"]
    return {name: table[name] for name in (*calcium, *IP3)}


def owners() -> dict[str, str]:
    """The calcium parameters are those of li_rinzel:AM, from which the network's set takes them."""
    return dict.fromkeys(MODELS["li_rinzel"].parameters(SET), CALCIUM_MODEL)


@dataclasses.dataclass(frozen=True)
class Resting:
    """Calcium and IP3 (umolar), h, and the Jacobian d(C, h, I)'/d(C, h, I) there (1/second; h has no unit)."""

    calcium: float
    h: float
    ip3: float
    jacobian: np.ndarray

    @property
    def decay_of_calcium(self) -> float:
        """How fast a change of calcium is taken up again while h and IP3 stay, 1/second."""
        return float(-self.jacobian[0, 0])

    @property
    def gain(self) -> float:
        """d(calcium)/d(IP3) in the steady state, h following; no unit."""
        return float(-np.linalg.solve(self.jacobian[:2, :2], self.jacobian[:2, 2])[0])

    @property
    def decay_of_ip3(self) -> float:
        """How fast IP3 is degraded while calcium stays, 1/second."""
        return float(-self.jacobian[2, 2])

    @property
    def production(self) -> float:
        """d(IP3 production)/d(calcium), 1/second."""
        return float(self.jacobian[2, 0])

    @property
    def slow_decay(self) -> float:
        """How fast IP3 is lost in the steady state, calcium and h following, 1/second."""
        return self.decay_of_ip3 - self.gain * self.production


def flow(changes: Changes = None):
    """f(states [3, ...], glutamate) -> derivatives, in mol/m^3 and per second, of the text that Brian2 runs."""
    table = dict(MODELS[ALONE].parameters(SET))
    for name, value in values(parameters(), changes).items():
        table[name] = dataclasses.replace(table[name], value=value)
    return Local(dataclasses.replace(MODELS[ALONE], parameter_sets={SET: table}), SET, "glutamate").derivative()


def derivatives(right_side, states: np.ndarray, glutamate: float = 0.0) -> np.ndarray:
    """d(right side)/d(states) by complex steps, float64 [component, state, ...]."""
    columns = []
    for k in range(len(states)):
        moved = states.astype(complex)
        moved[k] += 1j * STEP
        columns.append(right_side(moved, glutamate).imag / STEP)
    return np.stack(columns, axis=1)


def at_rest(changes: Mapping[str, float] | None = None) -> Resting:
    """The resting astrocyte, with parameters replaced by `changes`, each in its own unit."""
    return _at_rest(tuple(sorted((changes or {}).items())))


@lru_cache(maxsize=256)
def _at_rest(changes: tuple) -> Resting:
    """Newton's method from the model's initial values. Errors: `UserError` where it finds no stable rest."""
    right_side = flow(dict(changes))
    initial = MODELS[ALONE].initial
    state = np.array([initial["C"].value * MICROMOLAR, initial["h"].value, initial["I"].value * MICROMOLAR])
    for _ in range(50):
        jacobian = derivatives(right_side, state)
        change = np.linalg.solve(jacobian, right_side(state, 0.0))
        state = np.maximum(state - change, state / 3)  # positive; the first steps may be too long
        if np.abs(change / state).max() < 1e-13:
            break
    jacobian = derivatives(right_side, state)
    if np.abs(change / state).max() > 1e-9 or np.linalg.eigvals(jacobian).real.max() >= 0:
        raise UserError(f"{MODEL}:{SET} with {dict(changes)} has no stable rest without glutamate; nothing to reduce")
    return Resting(float(state[0] / MICROMOLAR), float(state[1]), float(state[2] / MICROMOLAR), jacobian)
