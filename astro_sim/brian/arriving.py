"""Spikes that fall between steps, as Brian2 takes them: on which step they act, and what their effect knows of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from astro_sim.model import Connection
from astro_sim.plan import Plan
from astro_sim.protocols.arrivals import Arrivals, arrivals, whole_steps
from astro_sim.protocols.trains import nearest_steps

APART = 1000  # places in a step between the first spikes of all sources and the second ones


@dataclass
class Arriving:
    """How a connection is built: the group that sends, what its spikes do, and what that text rests on.

    `group` is None where the source's own group sends; `copies` of its elements send what else they send in a step
    (see `generator`); `delay` in steps; `count` names a variable of the pairs that counts the spikes before, where
    there is one.
    """

    on_pre: str
    group: Any = None
    copies: int = 0
    delay: int = 0
    count: str | None = None
    namespace: dict[str, Any] = field(default_factory=dict)


def generator(size: int, spikes: tuple, dt: float, *, clock: Any, name: str) -> Any:
    """A Brian2 group of `size` sources that sends `spikes`: their elements, steps (of dt s) and places in a step.

    Brian2 sends one spike of an element in a step. The second ones are sent by copies of all elements that follow them
    in the group, the third ones by further copies; see `let_copies_act`.
    """
    import brian2

    elements, steps, places = spikes
    copies = int(places.max())
    return brian2.SpikeGeneratorGroup(size * (copies + 1), elements + places * size, steps * dt * brian2.second,
                                      clock=clock, when="before_start", order=-200 - APART * copies, name=name)


def paths(copies: int) -> list[str]:
    """The names of what first spikes do, second ones, and so on."""
    return ["pre", *(f"pre_{n}" for n in range(1, copies + 1))]


def name_copies(synapses: Any, copies: int) -> None:
    """Let the path of the n-th copies have senders of its own. Before pairs are made."""
    for n in range(1, copies + 1):
        name = f"_senders_{n}"
        synapses.variables.add_dynamic_array(name, size=0, dtype=np.int32, constant=True)
        synapses.register_variable(synapses.variables[name])
        getattr(synapses, f"pre_{n}").synapse_sources = synapses.variables[name]


def let_copies_act(synapses: Any, sources: Sequence[int], *, copies: int, size: int) -> None:
    """Let the copies of an element, of which a group has `size`, act on the pairs of that element."""
    for n in range(1, copies + 1):
        senders = synapses.variables[f"_senders_{n}"].get_addressable_value(f"_senders_{n}", synapses)
        senders.set_item(slice(None), np.asarray(sources, "i4") + n * size)


def delay_of(plan: Plan, connection: Connection) -> float:
    """A connection's delay in seconds; 0 without one."""
    return float(plan.parameters[connection.delay].quantity()) if connection.delay else 0.0


def nearest_delay(plan: Plan, connection: Connection) -> float:
    """A connection's delay in whole steps, the nearest (s): Brian2's backends round half a step each in its own way."""
    return plan.dt * int(nearest_steps(np.array([delay_of(plan, connection)]), plan.dt)[0])


def from_steps(plan: Plan, connection: Connection) -> Arriving:
    """For spikes that fall on the end of a step, as those of a threshold do: all are as far from where they arrive."""
    before, delay = connection.arriving == "arrival_time", delay_of(plan, connection)
    steps = int(whole_steps(np.array([delay]), plan.dt, before)[0])
    made = Arriving("", delay=steps)
    _tell(made, connection, "t + dt", offset=_number(made, connection, steps * plan.dt - delay))
    return made


def from_protocol(plan: Plan, connection: Connection, *, clock: Any, name: str) -> Arriving | None:
    """For spikes of a protocol, each at its own distance from a step; None where none arrives.

    name: of the Brian2 group. Errors: as of `arrivals`.
    """
    size = plan.size(connection.source)
    found = arrivals(plan.trains(connection.source), size, delay=delay_of(plan, connection), dt=plan.dt,
                     steps=plan.steps, before=connection.arriving == "arrival_time")
    if len(found.elements) == 0:
        return None
    group = generator(size, (found.elements, found.steps, found.places), plan.dt, clock=clock, name=name)
    made = Arriving("", group, int(found.places.max()))
    _tell(made, connection, "t", offset=_offset(made, plan, connection, found=found))
    return made


def _offset(made: Arriving, plan: Plan, connection: Connection, *, found: Arrivals) -> str:
    """The distance of the spike that arrives, as text: a number, or looked up by how many came before it."""
    import brian2

    if np.ptp(found.offsets) < 1e-9 * plan.dt:
        return _number(made, connection, float(found.offsets[0]))
    name = f"offsets_{connection.name}"
    made.count = f"arrived_{connection.name}"
    made.on_pre = f"{made.count} += 1\n"
    made.namespace[name] = brian2.TimedArray(found.table(plan.size(connection.source)) * brian2.second,
                                             dt=plan.dt * brian2.second, name=name)
    return f"{name}({made.count}*dt, i)"


def _number(made: Arriving, connection: Connection, offset: float) -> str:
    import brian2

    made.namespace[f"offset_{connection.name}"] = offset * brian2.second
    return f"offset_{connection.name}"


def _tell(made: Arriving, connection: Connection, now: str, *, offset: str) -> None:
    """Put what is known of the arrival into the text of what a spike does; `now` is the time of the state it finds."""
    known = {"since_arrival": f"({offset})", "arrival_time": f"({now} - {offset})"}
    made.on_pre += re.sub(rf"\b({'|'.join(known)})\b", lambda name: known[name[0]], connection.on_pre.strip())
