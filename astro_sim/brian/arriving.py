"""Spikes that fall between steps, as Brian2 takes them: on which step they act, and what their effect knows of it."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from astro_sim.model import Connection
from astro_sim.plan import Plan
from astro_sim.protocols.arrivals import Arrivals, arrivals, whole_steps


@dataclass
class Arriving:
    """How a connection is built: the group that sends, what its spikes do, and what that text rests on.

    `group` is None where the source's own group sends; `delay` in steps; `count` names a variable of the pairs that
    counts the spikes before, where there is one.
    """

    on_pre: str
    group: Any = None
    delay: int = 0
    count: str | None = None
    namespace: dict[str, Any] = field(default_factory=dict)


def delay_of(plan: Plan, connection: Connection) -> float:
    """A connection's delay in seconds; 0 without one."""
    return float(plan.parameters[connection.delay].quantity()) if connection.delay else 0.0


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
    import brian2

    size = plan.size(connection.source)
    found = arrivals(plan.trains(connection.source), size, delay=delay_of(plan, connection), dt=plan.dt,
                     steps=plan.steps, before=connection.arriving == "arrival_time")
    if len(found.elements) == 0:
        return None
    group = brian2.SpikeGeneratorGroup(size, found.elements, found.steps * plan.dt * brian2.second, clock=clock,
                                       when="before_start", order=-200, name=name)
    made = Arriving("", group)
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
