"""BORDER 2, the one place where dimensions end: recordings in seconds and micromolar become pure numbers.

The scales are written down: time by the cycle, the long-term state by its value after the last cycle, the response of
the short-term processes by its value at the driven one, gliotransmitter by the mean level of one release a cycle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astro_sim.parameter import convert
from astro_sim.recording.recording import Recording
from foundation.errors import UserError

SETTLED = 1e-8
STEADY = 1e-3  # of all receptors


@dataclass(frozen=True)
class CycleShares:
    """`shares` [T]: increment of p_l over each cycle, over the sum of all; `cycle_seconds` is the time scale."""

    shares: np.ndarray
    cycle_seconds: float
    long_term_scale: float


def cycle_shares(recording: Recording, cycle_seconds: float, num_cycles: int) -> CycleShares:
    """Mean long-term state over all processes at the ends of the cycles, as shares of what was gained.

    Raises `UserError` when the recording has no sample within 1e-6 of a cycle's end.
    """
    ends = np.arange(num_cycles + 1) * cycle_seconds
    nearest = np.abs(recording.time[:, None] - ends).argmin(axis=0)
    if np.abs(recording.time[nearest] - ends).max() > 1e-6 * cycle_seconds:
        raise UserError(f"the recording has no sample at every end of {num_cycles} cycles of {cycle_seconds:g} s; "
                        "choose a step that divides the cycle")
    p_l = recording.variables["p_l"].values.mean(axis=1)[nearest]
    gained = float(p_l[-1] - p_l[0])
    return CycleShares(np.diff(p_l) / gained, cycle_seconds, gained)


@dataclass(frozen=True)
class Response:
    """`response` [n] at `distance` [n] places from the driven process, over the value there, `driven`."""

    distance: np.ndarray
    response: np.ndarray
    driven: float


def steady_response(recording: Recording, driven: int) -> Response:
    """Last short-term state of every process, by its distance from the `driven` one, scaled by the driven one's.

    Raises `UserError` when anything still moved by more than 1e-8 of that in the last tenth of the recording.
    """
    p_s = recording.variables["p_s"].values
    last, before = p_s[-1], p_s[int(0.9 * (len(p_s) - 1))]
    scale = last[driven]
    moved = float(np.abs(last - before).max() / scale)
    if moved > SETTLED:
        raise UserError(f"the response still moves by {moved:.1g} of its size; "
                        f"simulate longer than {recording.time[-1]:g} s")
    return Response(np.abs(np.arange(last.size) - driven), last / scale, float(scale))


@dataclass(frozen=True)
class ReleaseLeft:
    """`release` [n], the mean share that bound gliotransmitter leaves, at `calcium` [n], its mean level in `unit`."""

    calcium: np.ndarray
    release: np.ndarray
    unit: float


def mean_release(recording: Recording, periods: Sequence[float], unit: float) -> ReleaseLeft:
    """Means over the recording but its first step, whole periods of regular releases, one each `periods[n]` seconds.

    `unit` is the level, in umolar, that becomes 1. Raises `UserError` when the share at the end is not that at the
    start within 1e-3: then the releases are not a long train yet.
    """
    bound, stores = recording["Gamma_S"].values[1:], recording["x_A"].values
    moved = float(np.abs(bound[-1] - bound[0]).max())
    if moved > STEADY:
        raise UserError(f"the share of bound receptors still moves by {moved:.1g} over the recording; simulate longer, "
                        "or start nearer to what a long train leaves")
    time = recording.time[1:]
    mean = np.trapezoid(bound, time, axis=0) / (time[-1] - time[0])
    rho_e, G_T, U_A, Omega_e = (recording.parameter(name) for name in ("rho_e", "G_T", "U_A", "Omega_e"))
    found = stores[-2] / (1 - U_A)  # the record before the last is just after a release: what it found
    level = convert(rho_e * G_T * U_A / Omega_e, "mmolar", "umolar", "G_T") * found / np.array(periods)
    return ReleaseLeft(level / unit, 1 - mean, unit)
