"""How an oscillation encodes a stimulus: in its amplitude (AM), its frequency (FM), or both (AFM).

    found = encoding(recording)          # elements at different constant levels of one input

Source of the terms: DePitta2009. That of a model's own oscillations is `dynamics.scan(...).encoding()`.
"""

from astro_sim.analysis.course import oscillation
from astro_sim.dynamics.am_fm import Encoding, modulation
from astro_sim.parameter import convert
from astro_sim.plan import plan_of
from astro_sim.recording.recording import Recording
from foundation.errors import UserError


def encoding(recording: Recording, variable: str = "C", input: str | None = None, *,
             after: float | str | None = None) -> Encoding:
    """The encoding of an input that holds uncoupled elements at different constant levels, after `after` s.

    Errors: `UserError` where the recording has no such input, or fewer than two levels oscillate.
    """
    levels, silent, rows = constant_levels(recording, variable, input), [], []
    for element, level in levels.items():
        try:
            found = oscillation(recording, variable, element, after=after)
        except UserError:
            silent.append(level)
        else:
            rows.append((level, found.amplitude, found.frequency))
    return modulation(*(zip(*rows, strict=True) if rows else ((), (), ())), silent)


def constant_levels(recording: Recording, variable: str = "C", input: str | None = None) -> dict[int, float]:
    """Element -> its level of the input that is held at different values, in the input's unit.

    Errors: `UserError` where no input, or not the given one, holds two elements at different constant values.
    """
    plan = plan_of(recording.meta)
    population, found = recording[variable].population, {}
    for name, target in plan.model.inputs.items():
        course = plan.inputs[target.population, target.variable]
        driven = any(drive.input == name for drive in plan.protocol)
        if target.population != population or not driven or course.held is None or input not in (None, name):
            continue
        levels = dict(enumerate(convert(course.held, course.unit, target.unit, name).tolist()))
        if len(set(levels.values())) > 1:
            found[name] = levels
    if len(found) != 1:
        raise UserError(f"no encoding: {', '.join(found) or 'no input'} {'hold' if len(found) > 1 else 'holds'} the "
                        f"elements of {variable} at different constant values; it must be one")
    return next(iter(found.values()))
