"""An energy as a law that is checked after a run: it cannot rise while all inputs are held.

Why rounding is the only tolerance: a step moves each state against the slope of the energy, so that to first order the
energy loses dt times a square of the speeds. What an integrator with held sums adds is of order dt^2, and again a
square of the speeds: it turns a loss into a rise only where dt times the fastest rate is of order one, however small
the speeds are. So a rise means that dt is too long. Sums that are extrapolated remember the step before: their error is
of the speeds there, and may raise the energy by (dt rate)^2/4 of what was lost then, which is allowed to dt = 1/rate.
"""

import numpy as np

REMEMBERED = 0.25  # of the loss in the step before, with extrapolated sums


def rise_while_held(plan, recording, terms):
    """By how much the energy rose since the record before, a share of the size of its terms, float64 (time,).

    terms(b, d) -> list of float64 (time, element) whose sum is the energy, for inputs b (time, neuron) and d (time,
    process). Between two records in which an input moves nothing is claimed: 0. An energy has no zero of its own, and
    its rounding is that of its terms: so the size of those is what a rise is compared with.
    """
    time, held, inputs = np.asarray(recording.time), np.ones(max(0, len(recording.time) - 1), bool), []
    for population, variable in (("neuron", "b"), ("process", "d")):
        course = plan.inputs[population, variable]
        inputs.append(course.at(time + plan.dt / 2))
        for start, end in (moving for drive in course.drives for moving in drive.moving()):
            held &= ~((start < time[1:] + plan.dt / 2) & (end > time[:-1] + plan.dt / 2))
    parts = terms(*inputs)
    size = np.maximum(sum(np.abs(part).sum(axis=1) for part in parts), np.finfo(float).tiny)
    rise = np.where(held, np.diff(sum(part.sum(axis=1) for part in parts)), 0.0)
    if plan.options.get("coupling_scheme") == "extrapolated" and len(rise):
        spared = REMEMBERED * np.maximum(0.0, -np.append(0.0, rise[:-1]))
        rise = np.where(rise > 0, np.maximum(0.0, rise - spared), rise)
        rise[0] *= time[0] == 0  # what was lost before is not there: seen with the rows before
    return np.append(0.0, rise / np.maximum(size[1:], size[:-1]))
