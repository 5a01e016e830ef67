"""From a plan to Brian2 objects: an explicit network, every group with its own namespace, nothing from the caller."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from astro_sim.brian.coupling import extrapolate, extrapolated, grid_operation
from astro_sim.brian.inputs import inputs_of, unscaled
from astro_sim.model import Connection, Pairs, Population
from astro_sim.model.equation_text import lines, symbols
from astro_sim.parameter import Parameter, unit
from astro_sim.plan import Plan
from astro_sim.protocols.trains import spike_steps
from foundation.errors import ResourceError

LEFT_OPEN = "left_open"  # the name of the group of open parameters
MAX_PAIRS = 30_000_000  # 8 bytes a variable and pair: beyond, a laptop's memory is gone


@dataclass
class Built:
    """A Brian2 network, its monitors by population, and its monitors of events by the event's name."""

    network: object
    monitors: dict[str, object]
    events: dict[str, object]


@dataclass(frozen=True)
class LeftOpen:
    """What is not compiled in, so that a C++ program can be run again with other values of it.

    `parameters` by name; `courses`: (population, variable) of an input that changes in time -> how many courses.
    `parts`: population whose inputs move inside a step -> (parts of a step, ways to cut it). Initial values and inputs
    that are held are always open.
    """

    parameters: frozenset[str] = frozenset()
    courses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, part: Population | Connection) -> list[str]:
        """The open parameters that a part uses."""
        texts = [*part.expressions(), getattr(part, "reset", None) or ""]
        return sorted(self.parameters & set().union(*map(symbols, texts)))

    def group(self, plan: Plan, clock):
        """The group that holds them, once for all parts; on Brian2's default clock it would make steps of its own."""
        import brian2

        text = "\n".join(f"{name} : {unscaled(plan.parameters[name].unit)} (shared, constant)"
                         for name in sorted(self.parameters))
        return brian2.NeuronGroup(1, text, clock=clock, name=LEFT_OPEN)

    def lend(self, part: Population | Connection, holder, *takers) -> None:
        """Make Brian2's objects of a part see the held parameters as their own."""
        for taker in takers:
            for name in self.of(part):
                taker.variables.add_reference(name, holder, name)


def build(plan: Plan, left_open: LeftOpen | None = None) -> Built:
    """All groups, connections and monitors of the plan, initial values set.

    left_open: for the C++ backend alone; its values come from the command line of the program.
    """
    import brian2

    clock = brian2.Clock(dt=plan.dt * brian2.second, name="clock_step")
    slow = clock if plan.every == 1 else brian2.Clock(dt=plan.every * plan.dt * brian2.second, name="clock_record")
    given_later = left_open or LeftOpen()
    holder = given_later.group(plan, clock) if given_later.parameters else None
    values = {name: parameter.quantity() for name, parameter in plan.parameters.items()
              if name not in given_later.parameters}
    # first of all, so that a refusal leaves no Brian2 objects behind
    pairs = {connection.name: pairs_of(connection, plan.options)
             for connection in plan.model.active_connections(plan.options)}
    _pairs.cache_clear()
    senders = {given.population for given in plan.model.spike_inputs.values()}
    groups = {p.name: _source(plan, p, clock) if p.name in senders else _group(plan, p, values, clock, given_later)
              for p in plan.model.active_populations(plan.options)}
    groups = {name: group for name, group in groups.items() if group is not None}
    network = brian2.Network(*groups.values())
    if holder:
        network.add(holder)
    for name, group in groups.items():
        given_later.lend(plan.model.population(name), holder, group)
    if left_open:
        brian2.device.apply_run_args()  # here: what connections set once is computed from it
    for connection in plan.model.active_connections(plan.options):
        # a source without a protocol is silent, and a population may have no element: they are not built
        if connection.by_fft(plan.options):
            network.add(grid_operation(plan, connection, groups[connection.target], clock))
        elif {connection.source, connection.target} <= groups.keys():
            given = pairs.pop(connection.name)
            lend = functools.partial(given_later.lend, connection, holder)
            network.add(*_synapses(plan, connection, given, groups, values, clock, connection.source in senders, lend))
    monitors = {}
    for name, group in groups.items():
        wanted = [v for v, seen in plan.model.observables.items() if seen.population == name]
        if wanted:
            monitors[name] = brian2.StateMonitor(group, wanted, record=True, clock=slow, name=f"{name}_monitor")
    events = {name: brian2.EventMonitor(groups[seen.population], seen.event, name=f"{name}_monitor")
              for name, seen in plan.model.events.items() if seen.population in groups}
    network.add(*monitors.values(), *events.values())
    return Built(network, monitors, events)


def _source(plan: Plan, population: Population, clock):
    """The spikes of a protocol, sent before anything else in their step; None where there are none."""
    import brian2

    size = population.size(plan.options)
    elements, steps = spike_steps(plan.trains(population.name), size, dt=plan.dt, steps=plan.steps)
    if len(elements) == 0:
        return None
    return brian2.SpikeGeneratorGroup(size, elements, steps * plan.dt * brian2.second,
                                      clock=clock, when="before_start", order=-200, name=population.name)


def _group(plan: Plan, population: Population, values: dict, clock, left_open: LeftOpen):
    import brian2

    from astro_sim.brian.blocks import InBlocks

    if population.size(plan.options) == 0:
        return None
    inputs = inputs_of(plan, population, left_open.courses, open_parts=left_open.parts)
    sums = extrapolated(plan.model, plan.options, population)
    text = inputs.text + "".join(f"\n{name}_before : {written}" for name, written in sums.items())
    clauses = {key: getattr(population, key) for key in ("threshold", "reset", "refractory")}
    spiking = {key: expression for key, expression in clauses.items() if expression}
    group = brian2.NeuronGroup(population.size(plan.options), text, method=population.method or inputs.method,
                               namespace={**values, **inputs.timed_arrays(plan.dt)},
                               clock=clock, events=dict(population.events), name=population.name,
                               codeobj_class=InBlocks if plan.backend == "numpy" else None, **spiking)
    extrapolate(group, sums)
    for name, numbers in {**inputs.columns, **inputs.constants}.items():
        setattr(group, f"{name}_", numbers)
    own = {line.name: line for line in lines(population.equations)}
    for name, value in plan.initial.items():
        if name in own:
            declared = plan.model.initial[name]
            setattr(group, name, value.quantity() if isinstance(value, Parameter) else
                    np.array(value) * unit(declared.unit))
    return group


def pairs_of(connection: Connection, options) -> Pairs:
    """A connection's pairs; kept until the network is built, as the estimate before it counts them."""
    pairs = _pairs(connection.pairs, tuple(options.items()))
    if len(pairs.source) > MAX_PAIRS:
        raise ResourceError(f"{connection.name}: {len(pairs.source)} pairs, above {MAX_PAIRS}; choose fewer elements")
    return pairs


@functools.lru_cache(maxsize=16)
def _pairs(make: Callable, options: tuple) -> Pairs:
    return make(dict(options))


def _synapses(plan: Plan, connection: Connection, pairs: Pairs, groups: dict, values: dict, clock, sent: bool,
              lend: Callable) -> list:
    """The connection's Synapses, or nothing where no pair exists."""
    import brian2
    if len(pairs.source) == 0:
        return []
    events = {key: getattr(connection, key) for key in ("on_pre", "on_post") if getattr(connection, key)}
    if connection.delay:
        events["delay"] = values[connection.delay]
    synapses = brian2.Synapses(groups[connection.source], groups[connection.target], connection.equations,
                               namespace=values, method=plan.method, clock=clock, name=connection.name,
                               on_event=connection.on_event, **events)
    lend(synapses, *synapses._pathways)
    synapses.connect(i=pairs.source, j=pairs.target)
    if connection.on_pre and np.array_equal(pairs.target, np.arange(synapses.target.N)):
        # pair k meets element k: told so, NumPy computes what spikes do for all pairs at once, not one by one
        indices = synapses.pre.variables.indices
        indices.update({name: "_idx" for name, index in indices.items() if index == "_postsynaptic_idx"})
    units = {line.name: line.unit for line in lines(connection.equations)}
    for name, numbers in pairs.constants.items():
        setattr(synapses, name, np.asarray(numbers) * unit(units[name]))
    for name, expression in connection.fixed.items():
        getattr(synapses, name).set_item(slice(None), expression, namespace={})
    for name, population in connection.reads.items():  # element k of the other population, for pair k
        synapses.variables.add_reference(name, groups[population], name, index="_idx")
    for updater in synapses.summed_updaters.values():
        # after the spikes and inputs of a step, before its record (which then shows the sum that the step takes), and
        # before any state moves, whatever the names
        updater.when, updater.order = "before_start", connection.order + 100
    if sent:  # after the spikes, before what is computed once a step and before the record
        synapses.pre.when, synapses.pre.order = "before_start", connection.order - 100
    elif connection.on_pre:
        synapses.pre.order = connection.order - 1
    return [synapses]
