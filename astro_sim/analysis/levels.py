"""How an oscillation encodes a stimulus: in its amplitude (AM), its frequency (FM), or both (AFM).

    found = encoding(recording)          # elements at different constant levels of one input

Source of the terms: DePitta2009. That of a model's own oscillations is `dynamics.scan(...).encoding()`.
"""

from astro_sim.analysis.course import oscillation
from astro_sim.dynamics.am_fm import Encoding, modulation
from astro_sim.parameter import convert, split_quantity
from astro_sim.plan import plan_of
from astro_sim.protocols import Drive
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
