"""What a protocol may be for a model and a run: it fits its inputs, the steps resolve it, and it has an effect."""

import itertools
from collections.abc import Iterator

import numpy as np

from astro_sim.model import Input, SpikeInput
from astro_sim.parameter import ALLOWED, MUST_BE, convert
from astro_sim.plan.plan import Plan
from astro_sim.protocols import Drive, Formula, Levels, Poisson, Samples
from astro_sim.protocols.course import RESOLVED, Course
from astro_sim.protocols.curve import Curve
from astro_sim.protocols.trains import Train, spike_steps
from foundation.errors import UserError, choose
from foundation.notes import Note, note

SPARSE = 0.1      # spikes of a Poisson train in a step: so few never meet in numbers that are refused
BETWEEN = (0.2113, 0.7887)  # where in a step that is looked at: neither is a simple share of it
FEW = 50          # spikes of Poisson trains on average: with more there is always one


class WithoutEffect(Note):
    """A stimulus is partly after the end of the run, or changes nothing in it."""


def check_protocol(plan: Plan) -> None:
    """Every drive and train fits its input, and its elements are there."""
    for drive in plan.protocol:
        size, chosen = _check_input(plan, drive), drive.elements
        if size == 0 or (chosen is not None and (not chosen or min(chosen) < 0 or max(chosen) >= size)):
            raise UserError(f"elements: {sorted(set(chosen or ()))} are not all elements of input {drive.input}; it "
                            f"has 0 to {size - 1}")


def check_steps(plan: Plan) -> None:
    """With fixed steps no piece of a drive is shorter than one, and none has too many spikes."""
    for drive in plan.protocol:
        held = isinstance(drive, Levels) or (isinstance(drive, Samples) and drive.interpolation != "cubic")
        gaps = [b - a for a, b in itertools.pairwise(drive.times)] if held else []
        if gaps and min(gaps) < plan.dt * (1 - 1e-9):
            raise UserError(f"dt: {plan.dt:g} s is longer than a piece of the protocol ({min(gaps):g} s of "
                            f"{drive.kind}); give a shorter step")
    for population in {plan.model.spike_inputs[drive.input].population for drive in plan.protocol
                       if not isinstance(drive, Drive)}:
        dense = [train for train in plan.trains(population)
                 if not isinstance(train, Poisson) or train.rate * plan.dt > SPARSE]
        spike_steps(dense, plan.size(population), dt=plan.dt, steps=plan.steps)


def _check_input(plan: Plan, drive: Drive | Train) -> int:
    """The number of elements that a drive or train may choose from; refuses one that does not fit its input."""
    model = plan.model
    target = choose(f"input of {model.name}", drive.input, {**model.inputs, **model.spike_inputs})
    if isinstance(drive, Drive) == isinstance(target, SpikeInput):
        kinds = ("spikes, regular, poisson, raster" if isinstance(target, SpikeInput) else
                 "constant, steps, ramp, square, cycles, exponential, alpha, sine, expression, samples")
        raise UserError(f"protocol {drive.kind}: does not fit input {drive.input}; choose one of: {kinds}")
    if not model.population(target.population).active(plan.options):
        refuse_idle(plan, f"input {drive.input}")
    return plan.size(target.population) if isinstance(target, SpikeInput) else len(plan.reach(drive.input))


def refuse_idle(plan: Plan, what: str) -> None:
    """What is given and would have no effect is an error."""
    shown = ", ".join(f"{key}={value}" for key, value in plan.options.items())
    raise UserError(f"{what}: takes no part in {plan.model.name} with {shown}; leave it out or change the options")


def _driven(plan: Plan) -> Iterator[tuple[str, Input, Course, list[Curve], list[Drive]]]:
    """Of every input with drives: its name, it, the course of its variable, what it is where it is driven, its drives.
    """
    for name in dict.fromkeys(drive.input for drive in plan.protocol if isinstance(drive, Drive)):
        target, mine = plan.model.inputs[name], [drive for drive in plan.protocol if drive.input == name]
        course, reach = plan.inputs[target.population, target.variable], plan.reach(name)
        places = reach if any(drive.elements is None for drive in mine) else reach[
            sorted(set(itertools.chain.from_iterable(drive.elements for drive in mine)))]
        yield name, target, course, [course.drives[k] for k in np.unique(course.which[places])], mine


def check_courses(plan: Plan) -> None:
    """What the drives of an input add up to is finite and allowed, and is resolved by the steps."""
    for name, target, course, curves, mine in _driven(plan):
        for curve in curves:
            low, high = (convert(float(end), course.unit, target.unit, name) for end in curve.extremes(plan.edges))
            if not np.isfinite([low, high]).all():
                when = plan.edges[int(np.argmin(np.isfinite(curve.at(plan.edges))))]
                raise UserError(f"input {name}: {mine[-1].kind} is not finite at {when:g} s; give another start, or "
                                "another expression")
            for value in (low, high):
                if not ALLOWED[target.allowed](value):
                    added = " (drives of an input add up)" if len(mine) > 1 else ""
                    raise UserError(f"input {name}: {value:g} {target.unit} is not allowed{added}; '{target.meaning}' "
                                    f"must be {MUST_BE[target.allowed]}")
            if curve.smooth:
                _check_resolved(plan, name, curve, span=high - low)


def _check_resolved(plan: Plan, name: str, curve: Curve, *, span: float) -> None:
    """A smooth course is near a parabola in every step: else its values at the stages of a step do not tell it."""
    edges = plan.edges[:-1]
    whole = np.ones(len(edges) - 1, bool)
    inside = np.searchsorted(edges, curve.breaks) - 1
    whole[inside[(inside >= 0) & (inside < len(whole))]] = False
    starts = edges[:-1][whole]
    value, slope, bend = curve.parabolas(starts, np.full(len(starts), plan.dt))
    for share in BETWEEN:
        since = share * plan.dt
        wrong = np.abs(curve.at(starts + since) - (value + slope * since + bend * since**2))
        if len(wrong) and wrong.max() > RESOLVED * span:
            raise UserError(f"dt: input {name} moves at {starts[wrong.argmax()]:g} s too much for a step of "
                            f"{plan.dt:g} s; give a shorter step, such as {plan.dt / 4:g} s, or a slower course")


def check_effects(plan: Plan) -> None:
    """Refuse a stimulus that does not happen in this run; warn of one that is partly after its end, or changes nothing.
    """
    for drive in plan.protocol:
        begins, ends, what = _times_of(plan, drive)
        if begins >= plan.duration * (1 - 1e-12) + (0 if isinstance(drive, Drive) else plan.dt / 2):
            raise UserError(f"protocol {drive.kind} of {drive.input}: begins at {begins:g} s, and the run ends at "
                            f"{plan.duration:g} s; give a longer duration or an earlier time, or leave it out")
        if ends > plan.duration * (1 + 1e-12) + (0 if isinstance(drive, Drive) else plan.dt / 2):
            note(WithoutEffect, f"protocol {drive.kind} of {drive.input}: {what}, and the run ends at "
                                f"{plan.duration:g} s")
    for name, target, course, curves, mine in _driven(plan):
        default = convert(target.default, target.unit, course.unit, name)
        if all(drive.kind == "constant" for drive in mine):
            continue  # who writes the default down wants to be sure of it
        if all(curve.extremes(plan.edges[:-1]) == (default, default) for curve in curves):
            level = f"{target.default:g} {target.unit}".removesuffix(" 1")
            note(WithoutEffect, f"protocol {mine[0].kind} of {name}: {level} is its default, so it changes nothing")
    _warn_of_silence(plan)


def _times_of(plan: Plan, drive: Drive | Train) -> tuple[float, float, str]:
    """When a stimulus begins and ends (s), and words for one that ends late."""
    if isinstance(drive, Poisson):
        return drive.start, drive.stop, f"goes on until {drive.stop:g} s"
    if isinstance(drive, Formula):
        ends = 0.0 if drive.stop is None else drive.stop
        return drive.start, ends, f"goes on until {ends:g} s"
    if isinstance(drive, Samples):
        if drive.times[-1] < plan.duration - plan.dt:
            note(WithoutEffect, f"protocol samples of {drive.input}: the last is at {drive.times[-1]:g} s; its value "
                                f"holds until the end, {plan.duration:g} s")
        return drive.times[0], drive.times[-1], f"has samples until {drive.times[-1]:g} s"
    if isinstance(drive, Levels):
        return _times_of_levels(drive)
    late = sum(time > plan.duration + plan.dt / 2 for time in drive.times)
    return min(drive.times), max(drive.times), f"{late} of its {len(drive.times)} spikes come later"


def _times_of_levels(drive: Levels) -> tuple[float, float, str]:
    """A pulse begins when it leaves what holds before it; the first of several steps, or of a ramp, is one itself."""
    changes = [time for time, before, after in zip(drive.times[1:], drive.values[:-1], drive.values[1:], strict=True)
               if before != after]
    if not changes:
        return 0.0, 0.0, ""
    pulse = drive.kind in ("square", "cycles")
    begins = changes[0] if pulse and drive.times[0] == 0 and _base(drive) else 0.0
    return begins, changes[-1], f"goes on until {changes[-1]:g} s"


def _base(drive: Levels) -> bool:
    """Whether a pulse begins with what holds between its pulses."""
    return drive.values[0] == drive.values[-1]


def _warn_of_silence(plan: Plan) -> None:
    """Poisson trains may happen to have no spike at all."""
    for train in plan.protocol:
        if not isinstance(train, Poisson):
            continue
        size = plan.size(plan.model.spike_inputs[train.input].population)
        elements = range(size) if train.elements is None else train.elements
        if train.rate * (min(train.stop, plan.duration) - train.start) * len(elements) > FEW:
            continue
        if all((train.of(element) > plan.duration + plan.dt / 2).all() for element in elements):
            note(WithoutEffect, f"protocol poisson of {train.input}: with seed {train.seed} it has no spike in this "
                                "run")
