"""How an oscillation encodes a stimulus: in its amplitude (AM), its frequency (FM), or both (AFM).

    found = encoding(recording)          # elements at different constant levels of one input
    found = of_diagram(scan("gchi:AM", "glutamate", 0.01, 3))

Source of the terms: DePitta2009; the depth of modulation is that of signal processing, its threshold is assumed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from astro_sim.analysis.course import oscillation
from astro_sim.protocols import Drive
from astro_sim.recording.recording import Recording
from foundation.errors import UserError

DEEP = 0.2  # a depth above which amplitude or frequency counts as modulated: largest over smallest is 1.5


@dataclass(frozen=True)
class Encoding:
    """Amplitudes (unit of the variable) and frequencies (1/s) at the levels (unit of the input) that oscillate.

    `depth_am`, `depth_fm`: (largest - smallest)/(largest + smallest), 0 to 1. `index`: -1 where amplitude alone
    changes, 1 where frequency alone does. `word`: AM, FM, AFM or "neither". `silent`: levels without oscillation.
    """

    levels: tuple[float, ...]
    amplitudes: tuple[float, ...]
    frequencies: tuple[float, ...]
    silent: tuple[float, ...]
    depth_am: float
    depth_fm: float

    @property
    def index(self) -> float:
        """-1 (amplitude alone changes) to 1 (frequency alone), dimensionless; 0 where neither does."""
        # (E2.36) which of the two changes more
        both = self.depth_fm + self.depth_am
        return (self.depth_fm - self.depth_am) / both if both else 0.0

    @property
    def word(self) -> str:
        """"AM", "FM", "AFM" for both, or "neither": a depth counts from `DEEP` on."""
        return {(True, False): "AM", (False, True): "FM", (True, True): "AFM"}.get(
            (self.depth_am >= DEEP, self.depth_fm >= DEEP), "neither")


def depth(values: Sequence[float]) -> float:
    """Depth of modulation: 0 where all values are alike, 1/3 where the largest is twice the smallest."""
    # (E2.35) of amplitudes or of frequencies
    return (max(values) - min(values)) / (max(values) + min(values))


def modulation(levels, amplitudes, frequencies, silent=()) -> Encoding:
    """The encoding by levels that oscillate. Errors: `UserError` with fewer than two of them."""
    if len(levels) < 2:
        raise UserError(f"no encoding: {len(levels)} levels oscillate, not two; give more levels inside the range of "
                        "the oscillation")
    rows = sorted(zip(levels, amplitudes, frequencies, strict=True))
    levels, amplitudes, frequencies = (tuple(map(float, column)) for column in zip(*rows, strict=True))
    return Encoding(levels, amplitudes, frequencies, tuple(sorted(map(float, silent))), depth(amplitudes),
                    depth(frequencies))


def encoding(recording: Recording, variable: str = "C", input: str | None = None,
             after: float | None = None) -> Encoding:
    """The encoding of an input that holds uncoupled elements at different constant levels, after `after` s.

    Errors: `UserError` where the recording has no such input, or fewer than two levels oscillate.
    """
    levels, silent, rows = constant_levels(recording, variable, input), [], []
    for element, level in levels.items():
        try:
            found = oscillation(recording, variable, element, after)
        except UserError:
            silent.append(level)
        else:
            rows.append((level, found.amplitude, found.frequency))
    return modulation(*(zip(*rows, strict=True) if rows else ((), (), ())), silent)


def of_diagram(diagram) -> Encoding:
    """The encoding of the input of a bifurcation diagram, over the inputs with a stable oscillation."""
    rows = diagram.oscillations
    return modulation([row["input"] for row in rows], [row["high"] - row["low"] for row in rows],
                      [1 / row["period"] for row in rows])


def constant_levels(recording: Recording, variable: str = "C", input: str | None = None) -> dict[int, float]:
    """Element -> its level of the input that is held at different values, in the input's unit.

    Errors: `UserError` where no input, or not the given one, holds two elements at different constant values.
    """
    from astro_sim.parameter import convert, split_quantity
    from astro_sim.plan import plan_of

    plan = plan_of(recording.meta)
    population, found = recording[variable].population, {}
    for name, target in plan.model.inputs.items():
        drives = [d for d in plan.protocol if isinstance(d, Drive) and d.input == name]
        held = target.population == population and drives and all(d.kind == "constant" for d in drives)
        if not held or input not in (None, name):
            continue
        reach = plan.reach(name)
        levels = dict.fromkeys(range(plan.size(population)), float(target.default))
        for drive in drives:
            value = convert(*split_quantity(drive.values[0], name), target.unit, name)
            levels |= {int(reach[k]): value for k in (range(len(reach)) if drive.elements is None else drive.elements)}
        if len(set(levels.values())) > 1:
            found[name] = levels
    if len(found) != 1:
        raise UserError(f"no encoding: {', '.join(found) or 'no input'} {'hold' if len(found) > 1 else 'holds'} the "
                        f"elements of {variable} at different constant values; it must be one")
    return next(iter(found.values()))
