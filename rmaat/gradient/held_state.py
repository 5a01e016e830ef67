"""What a step keeps between its calls, outside its arguments: a replay starts from what that was at the forward pass.

Found through the step itself: the modules, functions and objects that it can reach by its closure, its arguments'
defaults, its attributes and the global names in its code. Of them are kept: buffers and other tensors that are no
leaves with a gradient, plain numbers and texts, and generators of random numbers. What is kept elsewhere (a list that
grows, a file, an iterator) is not seen here; where it matters, the replay differs and is refused.

A tensor that a step puts there with its graph, to read it in the next segment, is memory that nobody handed over:
plain backpropagation goes through it, a replay cannot. Such slots are `attached`; a replay finds in them a tensor that
needs a gradient, and `refusals.check_named` sees whether the step reads it.
"""

import functools
import random
import sys
import types
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from foundation.errors import UserError
from foundation.shapes import Tensor

PLAIN = (bool, int, float, complex, str, type(None))
COPIED = 2**20  # numbers of a tensor that is copied; a larger one may not change in place
SEQUENCES = (list, tuple, set, frozenset)
MOST_ELEMENTS, MOST_OBJECTS = 1000, 20_000  # of a container, of all: beyond them nothing is looked at


def _generators() -> dict[type, tuple[Callable, Callable]]:
    """Kinds of random generators: how their state is read, and set. NumPy's where it is loaded."""
    found = {random.Random: (random.Random.getstate, random.Random.setstate),
             torch.Generator: (torch.Generator.get_state, torch.Generator.set_state)}
    if "numpy.random" in sys.modules:
        numpy = sys.modules["numpy.random"]
        found[numpy.Generator] = (lambda g: g.bit_generator.state,
                                  lambda g, state: setattr(g.bit_generator, "state", state))
        found[numpy.RandomState] = (lambda g: g.get_state(legacy=False), lambda g, state: g.set_state(state))
    return found


class _Item:
    """A value that stands in a dictionary under a name: a buffer, an attribute.

    moves: torch may change it without counting a version, as it does with a BatchNorm's statistics. copied: whether
    its numbers are kept; the network's own buffers do not change.
    """

    def __init__(self, place: MutableMapping, name: Hashable, *, moves: bool = False, copied: bool = True):
        self.place, self.name, self.moves, self.copied = place, name, moves, copied

    def __str__(self) -> str:
        return f"under the name {self.name!r}"

    def read(self) -> object:
        return self.place.get(self.name)

    def write(self, value: object) -> None:
        self.place[self.name] = value


class _List:
    """A short list of plain values, such as a counter or a log."""

    moves, copied = False, True

    def __init__(self, place: list):
        self.place = place

    def read(self) -> object:
        return list(self.place)

    def write(self, value: list) -> None:
        self.place[:] = value


class _Cell:
    """A variable of the function around the step, or one that it shares with it."""

    moves, copied = False, True

    def __init__(self, cell: types.CellType):
        self.cell = cell

    def __str__(self) -> str:
        return "in a variable around it"

    def read(self) -> object:
        return self.cell.cell_contents

    def write(self, value: object) -> None:
        self.cell.cell_contents = value


class _Random:
    """The state of a generator of random numbers."""

    moves, copied = False, True

    def __init__(self, generator: object, get: Callable, put: Callable):
        self.generator, self.get, self.put = generator, get, put

    def read(self) -> object:
        return self.get(self.generator)

    def write(self, value: object) -> None:
        self.put(self.generator, value)


Slot = _Item | _List | _Cell | _Random


def _names(code: types.CodeType) -> Iterator[str]:
    """Global names in a function's code, those of the functions inside it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


class _Survey:
    """Everything that a step can reach, each object once: slots, modules, parameters without gradient."""

    def __init__(self, *given: object):
        self.slots: list[Slot] = []
        self.modules: list[nn.Module] = []
        self.frozen: list[Tensor] = []
        self.generators = _generators()
        self.seen: set[int] = set()
        self.todo: list[object] = list(given)
        while self.todo and len(self.seen) < MOST_OBJECTS:
            thing = self.todo.pop()
            if id(thing) not in self.seen:
                self.seen.add(id(thing))
                self._look_at(thing)

    def _look_at(self, thing: object) -> None:
        if isinstance(thing, nn.Module):
            self._module(thing)
        elif isinstance(thing, types.FunctionType):
            self._function(thing)
        elif isinstance(thing, types.MethodType):
            self.todo += [thing.__self__, thing.__func__]
        elif isinstance(thing, functools.partial):
            self.todo += [thing.func, *thing.args, *thing.keywords.values()]
        elif isinstance(thing, list) and 0 < len(thing) <= MOST_ELEMENTS and all(isinstance(x, PLAIN) for x in thing):
            self.slots.append(_List(thing))
        elif isinstance(thing, SEQUENCES):
            self.todo += thing if len(thing) <= MOST_ELEMENTS else ()
        elif isinstance(thing, dict):
            self._names_in(thing, thing if len(thing) <= MOST_ELEMENTS else ())
        elif type(thing) in self.generators:
            self.slots.append(_Random(thing, *self.generators[type(thing)]))
        elif _of_a_user(type(thing)) and isinstance(getattr(thing, "__dict__", None), dict):
            self._names_in(vars(thing), vars(thing))
            self.todo.append(vars(type(thing)).get("__call__"))

    def _module(self, module: nn.Module) -> None:
        self.modules.append(module)
        moves = _of_a_user(type(module)) or isinstance(module, _NormBase)
        copied = not type(module).__module__.startswith("rmaat.")
        self.slots += [_Item(module._buffers, name, moves=moves, copied=copied) for name in module._buffers]
        self.frozen += [p for p in module._parameters.values() if p is not None and not p.requires_grad]
        self.todo += module._modules.values()
        if _of_a_user(type(module)):  # torch's modules, and the network's, keep all that changes in buffers
            self._names_in(vars(module), [name for name in vars(module) if not name.startswith("_")])
            self.todo.append(type(module).forward)

    def _names_in(self, place: MutableMapping, names: Iterable[Hashable]) -> None:
        for name in names:
            if _kept_as_it_is(place[name]):
                self.slots.append(_Item(place, name))
            else:
                self.todo.append(place[name])

    def _function(self, function: types.FunctionType) -> None:
        for cell in function.__closure__ or ():
            value = _inside(cell)
            if _kept_as_it_is(value):
                self.slots.append(_Cell(cell))
            else:
                self.todo.append(value)
        self.todo += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        if not _of_a_user(function):
            return
        for name in dict.fromkeys(_names(function.__code__)):
            value = function.__globals__.get(name)
            if name in function.__globals__ and isinstance(value, PLAIN):
                self.slots.append(_Item(function.__globals__, name))
            elif isinstance(value, nn.Module | types.FunctionType) or type(value) in self.generators:
                self.todo.append(value)


def _of_a_user(what: object) -> bool:
    """Whether a class or function is neither torch's nor the network's own, nor a class or module of Python itself."""
    where = (getattr(what, "__module__", None) or "builtins").split(".")[0]
    return where not in ("torch", "rmaat", "builtins", "numpy", "threading", "logging", "_io")


def _kept_as_it_is(value: object) -> bool:
    return isinstance(value, PLAIN) or (isinstance(value, Tensor) and (not value.requires_grad or not value.is_leaf))


def _inside(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return ()


@dataclass(frozen=True)
class Kept:
    """A slot's value at one moment; of a tensor also its version and, if it is small enough, its numbers then."""

    value: object
    version: int = 0
    numbers: Tensor | None = None

    @classmethod
    def of(cls, slot: Slot, value: object) -> "Kept":
        """Take down a slot's value."""
        if not isinstance(value, Tensor):
            return cls(value)
        copied = slot.copied and value.numel() <= COPIED and value.layout is torch.strided
        return cls(value, value._version, value.detach().clone() if copied else None)

    def still(self, value: object, moves: bool) -> bool:
        """Whether this is the same value, unchanged. On CUDA nothing is read: what may move counts as moved."""
        if not (isinstance(value, Tensor) or isinstance(self.value, Tensor)):
            return _equal(value, self.value)
        if value is not self.value or value._version != self.version:
            return False
        if self.numbers is None or not moves:
            return True
        return value.device.type == "cpu" and torch.equal(value, self.numbers)

    def restored(self, copies: dict[int, Tensor]) -> object:
        """The value as it was, for a replay to write on; `copies` are those made already, by the numbers' id."""
        if not isinstance(self.value, Tensor):
            return self.value
        if self.numbers is None and self.value._version == self.version:
            return self.value
        if self.numbers is None:
            raise UserError(f"the step changes a tensor of its own of {self.value.numel()} numbers in place, too many "
                            "to be kept for each segment; hand it through `memory`, or use bptt")
        return copies.setdefault(id(self.numbers), self.numbers.clone())


def _equal(one: object, other: object) -> bool:
    """Equality of plain values and of states of generators, which hold arrays."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    same = one == other
    return same if isinstance(same, bool) else bool(same.all())


class HeldState:
    """What a step holds. `now()` takes it down; inside `with held.as_at(then):` it is what it was then.

    beside: what else it can reach, such as modules and functions that stand in x_t.
    """

    def __init__(self, step: object, beside: Iterable[object] = ()):
        survey = _Survey(step, *beside)
        self.modules, self.slots = survey.modules, survey.slots
        self.frozen = [(p, p._version) for p in survey.frozen]
        self.attached: set[int] = set()  # slots in which the step puts tensors with their graph

    def now(self, before: Sequence[Kept] | None = None) -> list[Kept]:
        """The present values, by slot; those of `before` where nothing changed since."""
        if before is None:
            return [Kept.of(slot, slot.read()) for slot in self.slots]
        return [kept if kept.still(value, slot.moves) else Kept.of(slot, value)
                for slot, kept in zip(self.slots, before, strict=True) for value in [slot.read()]]

    @staticmethod
    def nbytes(kept: Iterable[Kept]) -> int:
        """Bytes of the copies."""
        copies = {id(one.numbers): one.numbers for one in kept if one.numbers is not None}
        return sum(x.numel() * x.element_size() for x in copies.values())

    def check_frozen(self) -> None:
        """A parameter without gradient that the step changed would be changed twice. Errors: `UserError`."""
        for parameter, version in self.frozen:
            if parameter._version != version:
                raise UserError("the step changes a parameter without gradient in place, of shape "
                                f"{tuple(parameter.shape)}, and a replay would change it again; make it a buffer "
                                "(register_buffer), which is put back for the replay")

    def look_for_graphs(self, began: int) -> bool:
        """Whether a run with a graph, from torch's sequence number `began` on, has put a tensor with its graph into a
        slot that was not known to take one."""
        found = {k for k, slot in enumerate(self.slots) for value in [slot.read()] if isinstance(value, Tensor)
                 and value.grad_fn is not None and value.grad_fn._sequence_nr() >= began}
        new = not found <= self.attached
        self.attached |= found
        return new

    def carried(self) -> dict[object, str]:
        """Of the tensors that stand in such slots with their graph: its last operation, and where they stand."""
        return {value.grad_fn: str(self.slots[k]) for k in self.attached for value in [self.slots[k].read()]
                if isinstance(value, Tensor) and value.grad_fn is not None}

    @contextmanager
    def as_at(self, then: Sequence[Kept]) -> Iterator[None]:
        """As it was then. What is written here is forgotten, as the forward pass has written it already."""
        present, copies = [slot.read() for slot in self.slots], {}
        try:
            for k, (slot, value, kept) in enumerate(zip(self.slots, present, then, strict=True)):
                if k in self.attached and isinstance(kept.value, Tensor) and kept.value.is_floating_point():
                    slot.write(_with_graph(kept.restored(copies)))
                elif not kept.still(value, slot.moves):
                    slot.write(kept.restored(copies))
            yield
        finally:
            for slot, value in zip(self.slots, present, strict=True):
                if not _same(slot.read(), value):
                    slot.write(value)


def _with_graph(value: Tensor) -> Tensor:
    """The same numbers, at the end of a graph of one operation."""
    with torch.enable_grad():
        return value.detach().requires_grad_().clone()


def _same(one: object, other: object) -> bool:
    return one is other if isinstance(one, Tensor) or isinstance(other, Tensor) else _equal(one, other)
