"""The rates of a system as functions for solvers: on arrays, or element by element on plain numbers."""

from collections.abc import Callable, Mapping

import numpy as np

from astro_sim.model.compiled_text import function, made
from astro_sim.run.ode.courses import Stretch
from astro_sim.run.ode.system import Block, System
from foundation.shapes import Array

PLAIN_UP_TO = 6  # elements that are computed one by one, on plain numbers: quicker than NumPy's calls
Inputs = Mapping[tuple[str, str], Stretch]


def rates_of(system: System, inputs: Inputs) -> Callable:
    """rates(y, t), whichever is quicker."""
    return one_by_one(system, inputs) if is_plain(system) else vectorised(system, inputs)


def vectorised(system: System, inputs: Inputs) -> Callable:
    """rates(y, t) on the whole vector."""
    call, names = system.function(system.rates), system.input_names()
    held = {name: inputs[key].value for name, key in names.items() if inputs[key].kind == "held"}
    moving = {name: inputs[key] for name, key in names.items() if name not in held}
    blocks, count = system.blocks, system.count

    def rates(y: Array, t: float) -> Array:
        values = dict(held)
        for name, course in moving.items():
            values[name] = course(t)
        for block in blocks:
            values.update(zip(block.states, y[block.start:block.stop].reshape(block.size, -1).T, strict=True))
        found, out = iter(call(values)), np.empty(count)
        for block in blocks:
            part = out[block.start:block.stop].reshape(block.size, -1)
            for n in range(len(block.states)):
                part[:, n] = next(found)
        return out

    return rates


def is_plain(system: System) -> bool:
    """Whether elements are so few, and apart, that plain numbers are quicker than arrays."""
    return not system.coupled and len(system.blocks) == 1 and system.blocks[0].size <= PLAIN_UP_TO


def one_by_one(system: System, inputs: Inputs) -> Callable:
    """rates(y, t) on the whole vector, element by element on plain numbers."""
    block, names, otherwise = system.blocks[0], system.input_names(), vectorised(system, inputs)
    calls = [_plain(system, n, inputs={name: inputs[key] for name, key in names.items()}, otherwise=otherwise)
             for n in range(block.size)]
    if len(calls) == 1:
        return calls[0]
    k = len(block.states)

    def rates(y: Array, t: float) -> list[float]:
        found: list[float] = []
        for n, call in enumerate(calls):
            found += call(y[n * k:n * k + k], t)
        return found

    return rates


def _plain(system: System, element: int, *, inputs: Mapping[str, Stretch], otherwise: Callable) -> Callable:
    """rates(y, t) of one element."""
    block, needed = system.blocks[0], system.needed(system.rates)
    used = set().union(*(tree.names for _, tree in needed))
    opening, values = [f"{', '.join(block.states)}, = _y.tolist()"], {"_otherwise": _alone(block, element,
                                                                                               otherwise)}
    for name, course in inputs.items():
        if name not in used:
            continue
        if course.kind == "held":
            values[name] = course.value
        elif course.kind == "straight":
            values |= {f"{name}_value": course.value, f"{name}_slope": course.slope, f"{name}_start": course.start}
            opening.append(f"{name} = {name}_value + {name}_slope*(_t - {name}_start)")
        else:
            values[f"{name}_at"] = lambda t, at=course.at: _element(at(t), element)
            opening.append(f"{name} = {name}_at(_t)")
    values |= {name: value for name, value in system.constants.items() if name in used}
    values = {name: value if callable(value) else _element(value, element) for name, value in values.items()}
    source = function(["_y", "_t"], needed, [name for name, _ in system.rates], constants=sorted(values),
                      opening=opening, rescue=True)
    return made(source, False)(*(values[name] for name in sorted(values)))


def _alone(block: Block, element: int, otherwise: Callable) -> Callable:
    """The rates of one element by arrays: infinity and NaN where plain numbers end in an error."""
    k = len(block.states)

    def rates(y: Array, t: float) -> tuple[float, ...]:
        whole = np.tile(np.asarray(y, float), block.size)
        return tuple(otherwise(whole, t)[element * k:element * k + k].tolist())

    return rates


def _element(value: float | Array, element: int) -> float:
    return float(value[element]) if np.ndim(value) else float(value)
