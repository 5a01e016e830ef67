"""The coupling of processes on a sheet: a_sheet and ell_sheet, the exponential nearest to that of a square lattice.

On a sheet the messenger's response is near K0 of the distance, not an exponential, and less of it reaches each place.
"""

from functools import cache, lru_cache

import numpy as np
from scipy.optimize import least_squares

from derivation.reductions import resting
from derivation.reductions.coupling import SEEN, SMALL, at_rest, parameters
from derivation.reductions.network import GAMMA_S, gap_matrix, macro_response, steady_calcium
from derivation.reductions.reduction import REST_STEP, WITHIN, Changes, Held, Reduction, Valid

SHEET, ROWS = 64, 15  # rows and columns: of the periodic sheet that gives T, of the nonlinear one it is held against


@lru_cache(maxsize=128)
def _sheet(changes: tuple) -> tuple[float, float]:
    """(a, ell): the exponential that comes nearest to T at 1 to 5 places on a sheet."""
    rest, flux = at_rest(dict(changes))
    angle = 2 * np.pi * np.fft.fftfreq(SHEET)
    symbol = rest.decay_of_ip3 + 2 * flux * (2 - np.cos(angle)[:, None] - np.cos(angle))
    exact = rest.gain * rest.production * np.fft.ifft2(1 / symbol).real[:SEEN + 1, :SEEN + 1]
    exact = GAMMA_S * exact / (1 - exact[0, 0])
    distance = np.hypot(*np.indices(exact.shape))
    near = (distance > 0) & (distance <= SEEN)
    found = least_squares(lambda x: x[0] * np.exp(-distance[near] / x[1]) - exact[near], [exact[0, 1], 1.0],
                          xtol=1e-14, ftol=1e-14, gtol=1e-14)
    return float(found.x[0]), float(found.x[1])


def amplitude(changes: Changes = None) -> float:
    """a on a sheet, in units of gamma_s."""
    return _sheet(tuple(sorted((changes or {}).items())))[0]


def length(changes: Changes = None) -> float:
    """ell on a sheet, in places."""
    return _sheet(tuple(sorted((changes or {}).items())))[1]


@cache
def responses() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distance, full, reduced): calcium at 1 to 5 places from the astrocyte that is let calcium in, over its own."""
    matrix, driven = gap_matrix({"layout": "sheet", "n_columns": ROWS, "n_rows": ROWS}), ROWS**2 // 2
    place = np.stack(np.divmod(np.arange(ROWS**2), ROWS), axis=1)
    far = np.linalg.norm(place[:, None] - place, axis=-1)
    full = steady_calcium(matrix, driven, calcium_flux=SMALL)
    reduced = macro_response(np.where(far > 0, amplitude() * np.exp(-far / length()), 0.0), driven)
    distance, first = np.unique(far[driven].round(9), return_index=True)
    seen = first[(distance > 0) & (distance <= SEEN)]
    return far[driven][seen], full[seen] / full[driven], reduced[seen]


@cache
def held() -> Held:
    """Deviations over the response of the nearest neighbour; the range begins behind the last place that leaves 5 %."""
    distance, full, reduced = responses()
    off = np.abs(full - reduced) / full[0]
    begin = distance[np.flatnonzero(off > WITHIN).max() + 1] if (off > WITHIN).any() else distance[0]
    return Held(float(off.max()), f"calcium at 1 to {SEEN} places on a sheet, over the nearest neighbour's",
                Valid("distance", "places", low=float(begin), high=float(SEEN)))


_SHEET = f"a sheet of {ROWS} by {ROWS} astrocytes; calcium let into the middle one, steady"

REDUCTIONS = {
    "a_sheet": Reduction(
        value=amplitude,
        parameters=parameters,
        model=f"{resting.MODEL}:{resting.SET}",
        relative_step=REST_STEP,
        unit="1",
        meaning="dense coupling at distance 0 where processes lie on a sheet",
        equation="E3.9",
        protocol=_SHEET,
        neglected="that a square lattice's response is no exponential",
        held=held,
        owners=resting.owners()),
    "ell_sheet": Reduction(
        value=length,
        parameters=parameters,
        model=f"{resting.MODEL}:{resting.SET}",
        relative_step=REST_STEP,
        unit="1",
        meaning="length of the dense coupling where processes lie on a sheet, in places",
        equation="E3.8",
        protocol=_SHEET,
        neglected="that a square lattice's response is no exponential",
        held=held,
        owners=resting.owners()),
}
