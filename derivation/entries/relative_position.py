"""The entries `relative_position...`: coupling of two astrocyte processes at a distance, on a line, a ring, a sheet."""

import numpy as np
import sympy

from astro_sim.models import MODELS
from derivation.entries.build import constant, simulated, with_fit
from derivation.entries.workbench import Workbench
from derivation.fitting.least_squares import fit
from derivation.fitting.problem import NUMPY
from derivation.fitting.rivals import compare
from derivation.forms import relative_position
from derivation.forms.ode import parse, right_side, text_of
from derivation.record import closed_form
from derivation.record.record import Constant, Entry, Evidence, ParameterUse, Range, Scale
from derivation.simulation.nondimensional import Response, steady_response
from derivation.simulation.simulations import PLACES, driven_line

FITTED_PLACES = 30  # beyond, the response is so small that what has not settled yet shows
RING = 32
SHEET, FITTED_ON_SHEET = 256, 12  # places along a side of the periodic sheet, and out to which the form is held
DISTANCE = {"distance": "places between two processes"}
CANCELS = {"d": "the size of the drive: the response is linear", "tau_ps": "a steady state has no time constant"}
SOURCES = ("Mia2026", "Kozachkov2025")
CONNECTIONS = {connection.name: connection for connection in MODELS["macro"].connections}
PLACE = Scale("distance", "1", 1.0, "places; one token is one place")
RIVALS = {
    "exponential": ("c*exp(-scale*distance)", {"c": 0.5, "scale": 0.2}),
    "gaussian": ("c*exp(-distance**2/width**2)", {"c": 0.5, "width": 5.0}),
    "rational": ("c/(1+(distance/width)**2)", {"c": 0.5, "width": 3.0}),
    "K0 far away": ("c*exp(-scale*distance)/sqrt(distance)", {"c": 0.5, "scale": 0.3}),
}


def _scale(coupling: str) -> tuple[tuple[ParameterUse, ...], Constant, Range]:
    form = relative_position.derive(coupling)
    uses, scale = constant("scale", form.scale, "inverse length of the response; one token is one place")
    return uses, scale, Range(text_of(form.margin), 1e-9, None, "the response is stable")


def line(coupling: str, workbench: Workbench) -> Entry:
    """The kernel on a line, and how the recorded response follows it."""
    recording = workbench.recording(coupling, lambda: driven_line(coupling))
    uses, scale, stable = _scale(coupling)
    measured = steady_response(recording, PLACES // 2)
    near = np.argsort(measured.distance, kind="stable")[1:2 * FITTED_PLACES + 1]  # both ways, the driven one left out
    distance, response = measured.distance[near].astype(np.float64), measured.response[near]
    best = fit("c*exp(-scale*distance)", {"distance": distance}, response, {"c": 0.5, "scale": scale.value})
    workbench.keep("steady p_s on the line, over the driven one's", ("distance", distance), response,
                   formula="c*exp(-scale*distance)", fitted=best, comparison="line")
    off = response - best.values["c"] * np.exp(-scale.value * distance)
    return Entry(
        meaning=f"coupling of two astrocyte processes at a distance, {coupling} coupling",
        equation="E4.5", formula="exp(-scale*distance)", arguments=DISTANCE,
        constants={"scale": with_fit(scale, best, "scale")}, basis="derived", sources=SOURCES, parameters=uses,
        cancels=CANCELS,
        evidence=Evidence(
            compared=f"steady p_s on a line of {PLACES} processes, one of them driven, over that one's",
            max_error=float(np.abs(off).max()), error_unit="1", range=f"1 to {FITTED_PLACES} places",
            recording=recording.hash,
            neglected="saturation of psi, the ends of the line, the delta at the driven process",
            rms_error=float(np.sqrt(np.mean(off**2))), warnings=best.warnings),
        validity=(Range("distance", 0, None, "a distance"), stable),
        scales=(PLACE, Scale("p_s", "1", measured.driven, "the short-term state of the driven process")),
        simulations=(simulated("driven line", recording),),
        comparisons={"line": compare("steady p_s on the line, over the driven one's",
                                     {"distance": (DISTANCE["distance"], distance)}, response, RIVALS, "exponential",
                                     recording.hash)})


def ring(coupling: str, workbench: Workbench) -> Entry:
    """The kernel on a ring, against the linear steady state of the coupling's own text."""
    uses, scale, stable = _scale(coupling)
    formula = text_of(relative_position.ring())
    around = np.minimum(np.arange(RING), RING - np.arange(RING)).astype(np.float64)
    measured = _resolvent(_strength(coupling, around[(np.arange(RING)[:, None] - np.arange(RING)) % RING]))
    distance = np.arange(1.0, RING // 2 + 1)
    response = measured[1:RING // 2 + 1]
    closed = closed_form.evaluate(formula, {"scale": scale.value, "places": float(RING), "distance": distance}, NUMPY)
    best = fit(f"c*({formula})", {"distance": distance, "places": float(RING)}, response,
                {"c": 0.5, "scale": scale.value})
    workbench.keep("linear steady p_s on the ring, over the driven one's", ("distance", distance), response,
                   formula=f"c*({formula})", fitted=best, places=float(RING))
    off = response - best.values["c"] * closed
    return Entry(
        meaning=f"coupling of two astrocyte processes at a distance on a ring, {coupling} coupling",
        equation="E4.12", formula=formula, arguments=DISTANCE | {"places": "processes on the ring"},
        constants={"scale": with_fit(scale, best, "scale")}, basis="derived", sources=SOURCES, parameters=uses,
        cancels={},
        evidence=Evidence(
            compared=f"linear steady p_s on a ring of {RING} processes, one of them driven, solved directly",
            max_error=float(np.abs(off).max()), error_unit="1", range=f"1 to {RING // 2} places",
            neglected="saturation of psi; the delta at the driven process" + (
                "; that the coupling takes the shorter way alone" if coupling == "dense" else ""),
            rms_error=float(np.sqrt(np.mean(off**2))), warnings=best.warnings),
        validity=(Range("distance", 0, None, "a distance"), Range("places-distance", 0, None, "on the ring"), stable),
        scales=(PLACE,))


def sheet(workbench: Workbench) -> Entry:
    """The kernel on a sheet with coupling of neighbours, against the square lattice's own response."""
    uses, scale, stable = _scale("diffusive")
    core = text_of(relative_position.lattice_core().subs(sympy.EulerGamma, sympy.EulerGamma.evalf(17)))
    constants = {"scale": scale, "core": Constant(
        closed_form.evaluate(core, {}), "distance at which K0 is what the square lattice has at the driven process",
        core)}
    formula, values = text_of(relative_position.sheet()), {name: each.value for name, each in constants.items()}
    lattice = lattice_response(FITTED_ON_SHEET)
    off = lattice.response - closed_form.evaluate(formula, values | {"distance": lattice.distance}, NUMPY)
    workbench.keep("linear steady p_s on the sheet, over the driven one's", ("distance", lattice.distance[1:]),
                   lattice.response[1:], comparison="sheet")
    free = {"K0": (f"c*({formula.replace('core', repr(values['core']))})", {"c": 1.0, "scale": scale.value})}
    return Entry(
        meaning="coupling of two astrocyte processes at a distance on a sheet, diffusive coupling",
        equation="E4.14", formula=formula, arguments=DISTANCE, constants=constants, basis="derived", sources=SOURCES,
        parameters=uses, cancels={},
        evidence=Evidence(
            compared=f"linear steady p_s on a periodic sheet of {SHEET} by {SHEET} processes, one of them driven, "
                     "solved directly, over that one's",
            max_error=float(np.abs(off).max()), error_unit="1",
            range=f"0 to {FITTED_ON_SHEET} places in every direction",
            neglected="saturation of psi, the ends of the sheet, and that a square lattice is not round: next to the "
                      "driven process the form is off most",
            rms_error=float(np.sqrt(np.mean(off**2)))),
        validity=(Range("distance", 0, None, "a distance"), stable),
        scales=(PLACE, Scale("p_s", "1", lattice.driven, "the driven process, over the drive")),
        comparisons={"sheet": compare(
            "linear steady p_s on the sheet, over the driven one's, from one place on",
            {"distance": (DISTANCE["distance"], lattice.distance[1:])}, lattice.response[1:], RIVALS | free, "K0")})


def lattice_response(reach: int) -> Response:
    """The square lattice's response to one driven process, at all places out to `reach`, over that at 0.

    Solved directly: on a periodic sheet plane waves do not mix, and each is divided by what the coupling leaves of it.
    """
    wave = np.exp(2j * np.pi * np.fft.fftfreq(SHEET))
    along = sympy.lambdify(relative_position.z, relative_position.TRANSFORMS["diffusive"](CONNECTIONS).subs(
        {sympy.Symbol(name): parameter.value for name, parameter in MODELS["macro"].parameters().items()}))(wave).real
    left = MODELS["macro"].parameters()["gamma_s"].value - along[:, None] - along
    response = np.fft.ifft2(1 / left).real[:reach + 1, :reach + 1]
    distance = np.hypot(np.arange(reach + 1.0)[:, None], np.arange(reach + 1.0))
    kept = np.argsort(distance, axis=None, kind="stable")[:np.count_nonzero(distance <= reach)]
    driven = float(response[0, 0])
    return Response(distance.ravel()[kept], response.ravel()[kept] / driven, driven)


def _strength(coupling: str, distance: np.ndarray) -> np.ndarray:
    """The matrix T of the model's own text at a matrix of distances; diffusion loses what it gives."""
    values = {name: parameter.value for name, parameter in MODELS["macro"].parameters().items()}
    if coupling == "dense":
        text = text_of(parse(CONNECTIONS["dense_coupling"].fixed["T"]))
        return np.where(distance > 0, closed_form.evaluate(text, values | {"distance": distance}, NUMPY), 0.0)
    text = text_of(right_side(CONNECTIONS["diffusive_coupling"].equations, "coupling_post"))
    given, kept = (closed_form.evaluate(text, values | {"psi_pre": pre, "psi_post": 1.0 - pre}) for pre in (1.0, 0.0))
    near = (distance == 1).astype(np.float64)
    return given * near + kept * np.diag(near.sum(axis=1))


def _resolvent(matrix: np.ndarray) -> np.ndarray:
    """Linear steady state (gamma_s - T) p = drive, the first process driven, over its own."""
    decay = MODELS["macro"].parameters()["gamma_s"].value
    response = np.linalg.solve(decay * np.eye(len(matrix)) - matrix, np.eye(len(matrix))[0])
    return response / response[0]
