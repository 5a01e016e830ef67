"""Protocols as numbers: what an input is in every step."""

from astro_sim.parameter import convert, split_quantity


def input_courses(plan, population: str, variable: str):
    """An input of a plan: its courses, float64 [step, course] in its unit, and each element's course, int [element].

    A step takes the mean of the course over itself, so that an edge between two steps keeps its place to first order.
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
    """Means of a drive's course between consecutive `edges` (seconds), float64, in the unit `wanted`."""
    import numpy as np

    values = np.array([convert(*split_quantity(v, drive.input), wanted, drive.input) for v in drive.values])
    last = edges[-1] + 1.0
    corners = np.append([t for t in drive.times if t < last], last)
    values = values[: len(corners) - 1]
    # mean = first value + integral of what differs from it: exact where the course does not change
    integral = np.concatenate([[0.0], np.cumsum((values - values[0]) * np.diff(corners))])
    means = values[0] + np.diff(np.interp(edges, corners, integral)) / np.diff(edges)
    inside = np.searchsorted(corners, edges[:-1] + 1e-9 * np.diff(edges), side="right") - 1
    after = np.searchsorted(corners, edges[1:] - 1e-9 * np.diff(edges), side="left") - 1
    return np.where(inside == after, values[np.clip(inside, 0, len(values) - 1)], means)
