"""From a plan to Brian2 objects: an explicit network, every group with its own namespace, nothing from the caller."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from astro_sim.brian.arriving import (
    APART,
    Arriving,
    from_protocol,
    from_steps,
    generator,
    let_copies_act,
    name_copies,
    nearest_delay,
    paths,
)
from astro_sim.brian.coupling import extrapolate, extrapolated, grid_operation
from astro_sim.brian.inputs import inputs_of, per_element, unscaled
from astro_sim.brian.left_open import LeftOpen
from astro_sim.model import Connection, Options, Pairs, Population
from astro_sim.model.equation_text import lines
from astro_sim.parameter import Parameter, unit
from astro_sim.plan import Plan
from astro_sim.protocols.trains import spike_steps
from foundation.errors import ResourceError
from foundation.shapes import Array, Int

MAX_PAIRS = 30_000_000  # 8 bytes a variable and pair: beyond, a laptop's memory is gone


@dataclass
class Built:
    """A Brian2 network, its groups and monitors by population, and its monitors of events by the event's name."""

    network: Any
    groups: dict[str, Any]
    monitors: dict[str, Any]
    events: dict[str, Any]


@dataclass(frozen=True)
class Wire:
    """A Brian2 group that is not ours: which of its elements each of ours takes, and the `variable`, if it is one."""

    group: Any
    elements: Int[Array, "element"]
    variable: str = ""


@dataclass(frozen=True)
class Outside:
    """What groups that are not ours give: spikes in the place of a population of sources, values of input variables.

    `name` is put before the names of our objects, as Brian2 wants no two alike in a network; None: it is all ours.
    """

    spikes: Mapping[str, Wire] = field(default_factory=dict)
    values: Mapping[tuple[str, str], Wire] = field(default_factory=dict)
    name: str | None = None


def build(plan: Plan, left_open: LeftOpen | None = None, outside: Outside | None = None) -> Built:
    """All groups, connections and monitors of the plan, initial values set.

    left_open: for the C++ backend alone; its values come from the command line of the program. outside: what a network
    gives that the groups are to be part of.
    """
    return _Builder(plan, left_open or LeftOpen(), outside or Outside()).build(compiled=left_open is not None)


class _Builder:
    """Makes the objects of one plan, one kind after the other."""

    def __init__(self, plan: Plan, left_open: LeftOpen, outside: Outside):
        import brian2

        self.plan, self.left_open, self.outside = plan, left_open, outside
        self.clock = brian2.Clock(dt=plan.dt * brian2.second, name=self._name("clock_step"))
        self.values = {name: parameter.quantity() for name, parameter in plan.parameters.items()
                       if name not in left_open.parameters and name not in plan.per_element}
        self.senders = {target.population for target in plan.model.spike_inputs.values()}
        self.groups: dict[str, Any] = {}
        self.copies: dict[str, int] = {}  # of the elements of a source; see `generator`

    def build(self, compiled: bool) -> Built:
        """Everything, in Brian2's order."""
        import brian2

        plan, left_open = self.plan, self.left_open
        holder = left_open.group(plan, self.clock) if left_open.parameters else None
        # first of all, so that a refusal leaves no Brian2 objects behind
        pairs = {connection.name: pairs_of(connection, plan.options)
                 for connection in plan.model.active_connections(plan.options)}
        _pairs.cache_clear()
        for population in plan.model.active_populations(plan.options):
            group = self._source(population) if population.name in self.senders else self._group(population)
            if group is not None:
                self.groups[population.name] = group
        own = {name: group for name, group in self.groups.items() if name not in self.outside.spikes}
        network = brian2.Network(*own.values())
        if holder:
            network.add(holder)
        for name, group in own.items():
            left_open.lend(plan.model.population(name), holder, group)
        if compiled:
            brian2.device.apply_run_args()  # here: what connections set once is computed from it
        for connection in plan.model.active_connections(plan.options):
            # a source without a protocol is silent, and a population may have no element: they are not built
            if connection.by_fft(plan.options):
                network.add(grid_operation(plan, connection, self.groups[connection.target], clock=self.clock))
            elif self._sends(connection) and connection.target in self.groups:
                network.add(*self._synapses(connection, pairs.pop(connection.name),
                                            functools.partial(left_open.lend, connection, holder)))
        monitors, events = self._monitors()
        network.add(*monitors.values(), *events.values())
        return Built(network, self.groups, monitors, events)

    def _name(self, name: str) -> str:
        return f"{self.outside.name or ''}{name}"

    def _monitors(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """A monitor of every population that is recorded, and of every event."""
        import brian2

        plan, slow, monitors = self.plan, self.clock, {}
        if plan.every > 1:
            slow = brian2.Clock(dt=plan.every * plan.dt * brian2.second, name=self._name("clock_record"))
        for name, group in self.groups.items():
            wanted = [v for v, seen in plan.model.observables.items() if seen.population == name]
            if wanted:
                monitors[name] = brian2.StateMonitor(group, wanted, record=True, clock=slow,
                                                     name=self._name(f"{name}_monitor"))
        events = {name: brian2.EventMonitor(self.groups[seen.population], seen.event,
                                            name=self._name(f"{name}_monitor"))
                  for name, seen in plan.model.events.items() if seen.population in self.groups}
        return monitors, events

    def _source(self, population: Population) -> Any:
        """The spikes of a protocol, sent before anything else in their step; None where there are none."""
        if population.name in self.outside.spikes:
            return self.outside.spikes[population.name].group
        plan, size = self.plan, population.size(self.plan.options)
        if all(one.arriving for one in plan.model.active_connections(plan.options) if one.source == population.name):
            return None  # each connection has a group of its own, which sends when the spikes arrive
        spikes = spike_steps(plan.trains(population.name), size, dt=plan.dt, steps=plan.steps)
        if len(spikes[0]) == 0:
            return None
        self.copies[population.name] = int(spikes[2].max())
        return generator(size, spikes, plan.dt, clock=self.clock, name=self._name(population.name))

    def _group(self, population: Population) -> Any:
        """The group of a population, its inputs and initial values set; None where it has no element."""
        import brian2

        from astro_sim.brian.blocks import InBlocks

        plan, size = self.plan, population.size(self.plan.options)
        if size == 0:
            return None
        linked = {variable: wire for (name, variable), wire in self.outside.values.items() if name == population.name}
        inputs = inputs_of(plan, population, self.left_open.courses, open_parts=self.left_open.parts, linked=linked)
        sums = extrapolated(plan.model, plan.options, population)
        text = inputs.text + "".join(f"\n{name}_before : {written}" for name, written in sums.items())
        clauses = {key: getattr(population, key) for key in ("threshold", "reset", "refractory")}
        group = brian2.NeuronGroup(size, text, method=population.method or inputs.method,
                                   namespace={**self.values, **inputs.timed_arrays(plan.dt, self._name(""))},
                                   clock=self.clock, events=dict(population.events), name=self._name(population.name),
                                   codeobj_class=InBlocks if plan.backend == "numpy" else None,
                                   **{key: expression for key, expression in clauses.items() if expression})
        extrapolate(group, sums)
        for name, numbers in {**inputs.columns, **inputs.constants}.items():
            _set(group, name, numbers)
        for name, wire in linked.items():
            setattr(group, name, brian2.linked_var(wire.group, wire.variable, index=wire.elements))
        if self.outside.name is not None:
            group.state_updater.order = 1  # after groups that are not ours, whatever the names
        self._set_initial(group, population)
        return group

    def _set_initial(self, group: Any, population: Population) -> None:
        own = {line.name for line in lines(population.equations)}
        for name, value in self.plan.initial.items():
            if name in own:
                _set(group, name, float(value.quantity()) if isinstance(value, Parameter) else
                     np.array(value) * float(unit(self.plan.model.initial[name].unit)))

    def _synapses(self, connection: Connection, pairs: Pairs, lend: Callable) -> list[Any]:
        """The connection's Synapses, or nothing where no pair exists."""
        import brian2

        if len(pairs.source) == 0:
            return []
        arriving = self._arriving(connection)
        if arriving is None:
            return []
        sender = arriving.group or self.groups[connection.source]
        text = "\n".join([connection.equations, *([f"{arriving.count} : integer"] if arriving.count else []),
                          *(f"{name} : {unscaled(self.plan.parameters[name].unit)} (constant)"
                            for name in per_element(self.plan, connection))])
        synapses = brian2.Synapses(sender, self.groups[connection.target], text,
                                   namespace={**self.values, **arriving.namespace}, method=self.plan.method,
                                   clock=self.clock, name=self._name(connection.name), on_event=connection.on_event,
                                   **self._effects(connection, arriving))
        name_copies(synapses, arriving.copies)
        lend(synapses, *synapses._pathways)
        wire = self.outside.spikes.get(connection.source)
        synapses.connect(i=pairs.source if wire is None else wire.elements[np.asarray(pairs.source)], j=pairs.target)
        let_copies_act(synapses, pairs.source, copies=arriving.copies, size=self.plan.size(connection.source))
        if connection.on_pre and np.array_equal(pairs.target, np.arange(synapses.target.N)):
            # pair k meets element k: told so, NumPy computes what spikes do for all pairs at once, not one by one
            for pathway in _pathways(synapses):
                indices = pathway.variables.indices
                indices.update({name: "_idx" for name, index in indices.items() if index == "_postsynaptic_idx"})
        self._set_pairs(synapses, connection, pairs)
        self._order(synapses, connection)
        if arriving.count:
            _set(synapses, arriving.count, -1)
        return [synapses] + ([arriving.group] if arriving.group else [])

    def _effects(self, connection: Connection, arriving: Arriving) -> dict[str, Any]:
        """What spikes do, and their delay; by path where copies of elements send too."""
        import brian2

        events = {key: getattr(connection, key) for key in ("on_pre", "on_post") if getattr(connection, key)}
        if connection.delay:
            events["delay"] = nearest_delay(self.plan, connection) * brian2.second
        if connection.arriving:
            events |= {"on_pre": arriving.on_pre, "delay": arriving.delay * self.plan.dt * brian2.second}
        if arriving.copies:
            events |= {key: dict.fromkeys(paths(arriving.copies), events[key]) for key in ("on_pre", "delay")
                       if key in events}
        return events

    def _set_pairs(self, synapses: Any, connection: Connection, pairs: Pairs) -> None:
        """The constants of the pairs, and the variables of other populations that they read."""
        for name in per_element(self.plan, connection):  # of the element that it acts on
            values = self.plan.per_element[name] * float(unit(self.plan.parameters[name].unit))
            _set(synapses, name, values[np.asarray(pairs.target)])
        units = {line.name: line.unit for line in lines(connection.equations)}
        for name, numbers in pairs.constants.items():
            _set(synapses, name, np.asarray(numbers) * float(unit(units[name])))
        for name, expression in connection.fixed.items():
            view = synapses.variables[name].get_addressable_value_with_unit(name, synapses)
            view.set_item(slice(None), expression, namespace={})
        for name, population in connection.reads.items():  # element k of the other population, for pair k
            synapses.variables.add_reference(name, self.groups[population], name, index="_idx")

    def _protocol_sends(self, connection: Connection) -> bool:
        return connection.source in self.senders and connection.source not in self.outside.spikes

    def _sends(self, connection: Connection) -> bool:
        """Whether a connection has a source: its own group, or one that is made for its arrivals."""
        return connection.source in self.groups or bool(connection.arriving and self._protocol_sends(connection))

    def _arriving(self, connection: Connection) -> Arriving | None:
        """How spikes arrive; None where none does."""
        if not connection.arriving:
            return Arriving(connection.on_pre or "", copies=self.copies.get(connection.source, 0) if connection.on_pre
                            else 0)
        if self._protocol_sends(connection):
            return from_protocol(self.plan, connection, clock=self.clock,
                                 name=self._name(f"{connection.name}_arrivals"))
        return from_steps(self.plan, connection)

    def _order(self, synapses: Any, connection: Connection) -> None:
        """When in a step a connection sums, and when its spikes act."""
        for updater in synapses.summed_updaters.values():
            # after the spikes and inputs of a step, before its record (which then shows the sum that the step takes),
            # and before any state moves, whatever the names
            updater.when, updater.order = "before_start", connection.order + 100
        if self._protocol_sends(connection):
            # after the spikes, before what is computed once a step and before the record
            for n, pathway in enumerate(reversed(_pathways(synapses))):  # the second spikes after all first ones
                pathway.when, pathway.order = "before_start", connection.order - 100 - APART * n
        elif connection.on_pre:
            synapses.pre.order = connection.order - 1


def _pathways(synapses: Any) -> list[Any]:
    """What the first spike of a source in a step does, what the second does, and so on."""
    return [pathway for pathway in synapses._pathways if pathway.prepost == "pre"]


def _set(group: Any, name: str, numbers: float | Array) -> None:
    """Set a variable of a Brian2 group, in base units; `group.NAME` may be another thing, such as its `order`."""
    group.variables[name].get_addressable_value(name, group).set_item(slice(None), numbers)


def pairs_of(connection: Connection, options: Options) -> Pairs:
    """A connection's pairs; kept until the network is built, as the estimate before it counts them."""
    pairs = _pairs(connection.pairs, tuple(options.items()))
    if len(pairs.source) > MAX_PAIRS:
        raise ResourceError(f"{connection.name}: {len(pairs.source)} pairs, above {MAX_PAIRS}; choose fewer elements")
    return pairs


@functools.lru_cache(maxsize=16)
def _pairs(make: Callable, options: tuple) -> Pairs:
    return make(dict(options))
