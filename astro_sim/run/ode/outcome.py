"""From the states of a solved system to what is recorded: columns of numbers by population."""

from collections.abc import Callable, Iterator

import numpy as np

from astro_sim.model.compiled_text import leaf
from astro_sim.plan import Plan
from astro_sim.recording.collect import Columns
from astro_sim.run.ode.solve import Piece, pieces
from astro_sim.run.ode.system import System
from foundation.shapes import Array, Float

BLOCK = 1 << 17  # numbers of a variable that are computed together: they stay in the processor's cache


def records(plan: Plan, tick: Callable[[float], None] = lambda time: None) -> Iterator[dict[str, Columns]]:
    """What a plan records, piece by piece: population -> its columns. Errors: `GaveUpError` of solve.py."""
    system = System(plan)
    seen = {name: one for name, one in plan.model.observables.items() if one.population in system.sizes}
    states = {name for _, name, _ in system.flow.states}
    computed = [name for name in seen if name not in states]
    observe = system.function([(f"_seen_{name}", leaf(name)) for name in computed]) if computed else None
    for piece in pieces(plan, system, tick):
        values = {name: piece.states[:, block.start + n:block.stop:len(block.states)]
                  for block in system.blocks for n, name in enumerate(block.states)}
        nothing = np.empty((len(piece.times), 0))  # of a population without elements
        found = {name: values.get(name, nothing) for name in seen if name in states}
        if observe:
            found |= _computed(system, piece, values, observe=observe, names=computed)
        yield {population: Columns(piece.times, {
                   name: _in_place(system, population, found[name], rows=len(piece.times))
                   for name, one in seen.items() if one.population == population})
               for population in dict.fromkeys(one.population for one in seen.values())}


def _computed(system: System, piece: Piece, values: dict[str, Array], *, observe: Callable, names: list[str]
              ) -> dict[str, Array]:
    """Variables that follow from states and inputs, a block of records at a time."""
    widest = max(system.sizes.values())
    rows, parts = max(1, BLOCK // max(1, widest)), []
    inputs = system.input_names()
    for start in range(0, len(piece.times), rows):
        cut = slice(start, start + rows)
        given = {name: value[cut] for name, value in values.items()}
        given |= {name: piece.inputs[key].over(piece.times[cut]) for name, key in inputs.items()}
        with np.errstate(all="ignore"):
            parts.append([np.broadcast_to(one, (len(piece.times[cut]), np.shape(one)[-1] if np.ndim(one) else 1))
                          for one in observe(given)])
    return {name: np.concatenate([part[n] for part in parts]) for n, name in enumerate(names)}


def _in_place(system: System, population: str, values: Float[Array, "time _"], *, rows: int
              ) -> Float[Array, "time element"]:
    """The elements as the model numbers them."""
    size = system.sizes[population]
    values = np.broadcast_to(values, (rows, size))
    order = system.order[population]
    return values if (order == np.arange(size)).all() else values[:, np.argsort(order)]
