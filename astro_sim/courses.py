"""Protocols as numbers: what an input is in every step."""

from astro_sim.parameter import convert, split_quantity


def input_courses(plan, population: str, variable: str):
    """An input of a plan: its courses, float64 [step, course] in its unit, and each element's course, int [element].

    A step takes the mean of the course over itself, so that an edge between two steps keeps its place to first order,
    and a ramp, held at the middle of each step, is seen to second order.
    """
    import numpy as np

    edges = plan.dt * np.arange(plan.steps + 2)
    courses, columns = [], np.zeros(plan.size(population), int)
    for name, target in plan.model.inputs.items():
        if (target.population, target.variable) != (population, variable):
            continue
        reach = np.array(plan.reach(name))
        columns[reach] = len(courses)
        courses.append(np.full(len(edges) - 1, target.default))
        for drive in (d for d in plan.protocol if d.input == name):
            columns[reach if drive.elements is None else reach[list(drive.elements)]] = len(courses)
            courses.append(course_means(drive, target.unit, edges))
    used, columns = np.unique(columns, return_inverse=True)
    return np.stack([courses[n] for n in used], axis=1), columns


def course_means(drive, wanted: str, edges):
    """Means of a drive's course between consecutive `edges` (seconds), float64, in the unit `wanted`.

    Exact: a value that holds over a step is that value, a straight piece is its middle, and a step with a corner in it
    takes the integral of the course over itself.
    """
    import numpy as np

    values = np.array([convert(*split_quantity(v, drive.input), wanted, drive.input) for v in drive.values])
    corners, last = np.array(drive.times), max(edges[-1], drive.times[-1]) + 1.0
    slopes = np.zeros(len(values))
    if drive.straight:
        slopes[:-1] = np.diff(values) / np.diff(corners)
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
