"""The entries `calcium_response`, as the papers state it, and `calcium_response_fitted`, by the model's own curve."""

import numpy as np
import sympy

from derivation.entries.build import constant, simulated, with_fit
from derivation.entries.workbench import Workbench
from derivation.fitting.least_squares import fit
from derivation.fitting.rivals import compare
from derivation.record.record import Alternative, Constant, Entry, Evidence, Range, Scale
from derivation.reductions import calcium_curve
from derivation.simulation.simulations import SETTLED_AFTER, held_glutamate

DRIVE = {"drive": "sum of the feature-mapped keys"}
RIVALS = {
    "power": (calcium_curve.POWER, calcium_curve.START),
    "saturating exponential": ("amplitude*(1-exp(-drive/half))", {"amplitude": 0.2, "half": 0.15}),
    "Michaelis": ("amplitude*drive/(half+drive)", {"amplitude": 0.2, "half": 0.1}),
    "Hill": ("amplitude*drive**steepness/(half**steepness+drive**steepness)",
             {"amplitude": 0.4, "half": 1.0, "steepness": 0.4}),
    "logarithm": ("amplitude*log(1+drive/half)", {"amplitude": 0.04, "half": 0.005}),
}


def stated(workbench: Workbench) -> Entry:
    """Exponent 1, linear attention's normaliser; the others by name."""
    nearest = workbench.entry("calcium_response_fitted").constants["exponent"].value
    return Entry(
        meaning="calcium that the summed keys cause", equation="E5.3", formula="drive**exponent", arguments=DRIVE,
        constants={"exponent": Constant(1.0, "1 is linear attention's normaliser; see the alternatives")},
        basis="stated", sources=("Mia2026", "Mia2025"), parameters=(), cancels={}, evidence=None,
        validity=(Range("drive", 0, None, "a feature map is not negative"),),
        alternatives={
            "Mia2025": Alternative("drive**other", {"other": 0.25}, "the exponent of Mia2025", "stated", ("Mia2025",)),
            "fitted": Alternative("drive**other", {"other": nearest}, "as calcium_response_fitted", "fitted",
                                  ("DePitta2009",))})


def fitted(workbench: Workbench) -> Entry:
    """The power that comes nearest to mean calcium against held glutamate, and its rivals."""
    recording = workbench.recording("glutamate", lambda: held_glutamate(
        f"{calcium_curve.MODEL}:{calcium_curve.SET}", calcium_curve.GLUTAMATE))
    uses, exponent = constant("exponent", sympy.Symbol("calcium_exponent"),
                              "exponent of calcium above rest against glutamate")
    drive = np.array(calcium_curve.GLUTAMATE)
    kept = recording.time >= SETTLED_AFTER
    curve = np.array([_mean(recording.time[kept], recording["C"].values[kept, k]) for k in range(drive.size)])
    curve = curve - calcium_curve.at_rest()
    best = fit(calcium_curve.POWER, {"drive": drive}, curve, calcium_curve.START)
    workbench.keep("mean calcium above rest at held glutamate", ("drive", drive), curve,
                   unit="umolar", formula=calcium_curve.POWER, fitted=best, comparison="held glutamate")
    off = curve - best.values["amplitude"] * drive ** best.values["exponent"]
    low, high = drive.min(), drive.max()
    return Entry(
        meaning="calcium that the summed keys cause, by the model's own curve", equation="E4.13",
        formula="drive**exponent", arguments=DRIVE, constants={"exponent": with_fit(exponent, best, "exponent")},
        basis="fitted", sources=("DePitta2009", "LiRinzel1994"), parameters=uses,
        cancels={},
        evidence=Evidence(
            compared=f"mean calcium of {calcium_curve.MODEL}:{calcium_curve.SET} above its rest, over "
                     f"{drive.size} levels of held glutamate",
            max_error=float(np.abs(off).max()), error_unit="umolar",
            range=f"glutamate {low:g} to {high:g} umolar, where calcium oscillates", recording=recording.hash,
            neglected="the time course: the mean over an oscillation is taken; that the curve bends",
            rms_error=float(np.sqrt(np.mean(off**2))), warnings=best.warnings),
        validity=(Range("drive", low, high, "held glutamate in umolar over 1 umolar: the range of the fit"),),
        scales=(Scale("drive", "umolar", 1.0, "glutamate; a power has no scale of its own"),
                Scale("calcium", "umolar", best.values["amplitude"], "calcium above rest at 1 umolar of glutamate: a "
                      "factor of all reads, which the learned projection takes up")),
        simulations=(simulated("held glutamate", recording),),
        comparisons={"held glutamate": compare(
            "mean calcium above rest, in umolar, at held glutamate",
            {"drive": ("glutamate over 1 umolar", drive)}, curve, RIVALS, "power", recording.hash)},
        alternatives={"linear": Alternative("drive**other", {"other": 1.0}, "linear attention's normaliser", "stated",
                                            ("Mia2026",)),
                      "Mia2025": Alternative("drive**other", {"other": 0.25}, "the exponent of Mia2025", "stated",
                                             ("Mia2025",))})


def _mean(time: np.ndarray, values: np.ndarray) -> float:
    """Mean of an oscillating course; a bell of weight that is flat at both ends, so that parts of a period do not
    count."""
    place = (time - time[0]) / (time[-1] - time[0])
    weight = np.sin(np.pi * place) ** 6
    return float(np.average(values, weights=weight))
