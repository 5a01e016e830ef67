"""Protocols as numbers: what an input is in every step."""

from astro_sim.parameter import convert, split_quantity


def drives_of(plan, population: str, variable: str):
    """What drives an input: drives, or numbers where none does, and which of them each element has, int [element]."""
    import numpy as np

    found, which = [], np.zeros(plan.size(population), int)
    for name, target in plan.model.inputs.items():
        if (target.population, target.variable) != (population, variable):
            continue
        reach = np.array(plan.reach(name))
        which[reach] = len(found)
        found.append(target.default)
        for drive in (d for d in plan.protocol if d.input == name):
            which[reach if drive.elements is None else reach[list(drive.elements)]] = len(found)
            found.append(drive)
    used, which = np.unique(which, return_inverse=True)
    return [found[n] for n in used], which


def held(plan, population: str, variable: str):
    """An input that never changes: float64 [element] in its unit; None where it does."""
    import numpy as np

    drives, which = drives_of(plan, population, variable)
    if any(len(set(getattr(drive, "values", ()))) > 1 for drive in drives):
        return None
    return np.array([value_in(drive, plan, population, variable, np.zeros(()))[0] for drive in drives], float)[which]


def input_courses(plan, population: str, variable: str):
    """Means over steps of an input of a plan: its courses, float64 [step, course] in its unit, and each element's
    course, int [element]. What a simulation takes where an input moves inside a step is finer: see parts.py.
    """
    import numpy as np

    edges = plan.dt * np.arange(plan.steps + 2)
    drives, which = drives_of(plan, population, variable)
    unit = written_unit(plan, population, variable)
    courses = [np.full(len(edges) - 1, drive) if isinstance(drive, float | int) else course_means(drive, unit, edges)
               for drive in drives]
    return np.stack(courses, axis=1), which


def written_unit(plan, population: str, variable: str) -> str:
    """Unit of the input that drives a variable of a population."""
    return next(i.unit for i in plan.model.inputs.values() if (i.population, i.variable) == (population, variable))


def value_in(drive, plan, population: str, variable: str, at):
    """(value, change in a second) of a drive at times (s, float64) that are not corners, in the input's unit."""
    import numpy as np

    if isinstance(drive, float | int):
        return np.full(at.shape, float(drive)), np.zeros(at.shape)
    corners, values, slopes = _pieces(drive, written_unit(plan, population, variable))
    piece = np.searchsorted(corners, at, side="right") - 1
    return values[piece] + slopes[piece] * (at - corners[piece]), slopes[piece]


def _pieces(drive, wanted: str):
    """Where each piece of a drive starts (s), its value there in the unit `wanted`, and its change in a second."""
    import numpy as np

    values = np.array([convert(*split_quantity(v, drive.input), wanted, drive.input) for v in drive.values])
    corners, slopes = np.array(drive.times), np.zeros(len(values))
    if drive.straight:
        slopes[:-1] = np.diff(values) / np.diff(corners)
    return corners, values, slopes


def course_means(drive, wanted: str, edges):
    """Means of a drive's course between consecutive `edges` (seconds), float64, in the unit `wanted`.

    Exact: a value that holds over a step is that value, a straight piece is its middle, and a step with a corner in it
    takes the integral of the course over itself.
    """
    import numpy as np

    corners, values, slopes = _pieces(drive, wanted)
    last = max(edges[-1], corners[-1]) + 1.0
    piece = np.searchsorted(corners, edges[:-1] + 1e-9 * np.diff(edges), side="right") - 1
    after = np.searchsorted(corners, edges[1:] - 1e-9 * np.diff(edges), side="left") - 1
    middle = (edges[:-1] + edges[1:]) / 2
    inside = values[piece] + slopes[piece] * (middle - corners[piece])
    # the integral of what differs from the first value: small numbers, where the course changes little
    lengths = np.diff(np.append(corners, last))
    whole = np.concatenate([[0.0], np.cumsum((values - values[0] + slopes * lengths / 2) * lengths)])
    at = np.searchsorted(corners, edges, side="right") - 1
    since = edges - corners[at]
    integral = whole[at] + (values[at] - values[0] + slopes[at] * since / 2) * since
    return np.where(piece == after, inside, values[0] + np.diff(integral) / np.diff(edges))
