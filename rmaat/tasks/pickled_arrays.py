"""Dictionaries of NumPy arrays from pickle files, without Python's unpickler: nothing that a file names is ever run.

A pickle is a program. Here it is only read, opcode by opcode, by an interpreter that knows containers, numbers, texts
and one thing to make, an array of plain numbers, which NumPy builds from bytes. Every other name is refused.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foundation.errors import DamagedFileError, UserError
from foundation.reading import content_of

_MARK = object()
_ARRAY, _EMPTY, _WHOLE, _TYPE, _ENCODE = "ndarray", "_reconstruct", "_frombuffer", "dtype", "encode"
_BYTES = "bytes"
_NAMES = {("numpy", "ndarray"): _ARRAY, ("numpy", "dtype"): _TYPE, ("_codecs", "encode"): _ENCODE,
          ("__builtin__", "bytes"): _BYTES, ("builtins", "bytes"): _BYTES,
          **{(f"numpy.{core}.{module}", name): name for core in ("core", "_core")
             for module, name in (("multiarray", _EMPTY), ("numeric", _WHOLE))}}
_KINDS = frozenset("?bBhHiIlLqQefdu" + "1248")  # what a dtype's text may consist of: plain numbers, in bytes
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_AS_GIVEN = ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "BINUNICODE",
             "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_OLD_TEXT = ("STRING", "BINSTRING", "SHORT_BINSTRING")  # Python 2's str: bytes
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUT, _GET = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), ("GET", "BINGET", "LONG_BINGET")
_NOTHING = ("PROTO", "FRAME")


@dataclass(frozen=True)
class _Known:
    """One of the few names that a file may mention."""

    kind: str


@dataclass
class _Dtype:
    """A type of plain numbers, as a file describes it."""

    text: str
    order: str = "|"


@dataclass
class _Array:
    """An array whose content comes later in the file."""

    value: np.ndarray | None = None


def read_pickled(content: bytes, where: str) -> object:
    """What a pickle of dictionaries, lists, tuples, numbers, texts and NumPy arrays holds; Python 2's texts are bytes.

    Raises `UserError` for a pickle that asks for anything else, which is not done, `DamagedFileError` for one that is
    cut or makes no sense. `where` begins the messages.
    """
    machine = _Machine(where)
    with content_of(f"{where}: cut or no pickle of arrays", "fetch it again"):
        for opcode, argument, place in pickletools.genops(content):
            if opcode.name == "STOP":
                return _plain(machine.stack.pop(), {})
            machine.step(opcode.name, argument, place)
    raise DamagedFileError(f"{where}: the file ends too early; fetch it again")


class _Machine:
    """A stack, a memo, and what each opcode does with them."""

    def __init__(self, where: str):
        self.where, self.stack, self.memo = where, [], {}

    def step(self, name: str, argument: object, place: int | None) -> None:
        stack = self.stack
        if name in _NOTHING:
            return
        if name in _AS_GIVEN:
            stack.append(argument)
        elif name in _OLD_TEXT:
            stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[len(stack) - count:] = [tuple(self._last(count))]
        elif name in _PUT:
            self.memo[len(self.memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
        elif name in _GET:
            stack.append(self.memo[int(argument)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._name(argument, place)
        elif name == "REDUCE":
            self._make(place)
        elif name == "BUILD":
            self._fill()
        elif name in _CONTAINERS:
            _CONTAINERS[name](self)
        else:
            raise self._refused(f"the opcode {name}", place)

    def _last(self, count: int) -> list:
        if count > len(self.stack):
            raise ValueError("the stack is empty")
        return self.stack[len(self.stack) - count:]

    def above_mark(self) -> list:
        """What was put on the stack since the last mark, taken off together with it."""
        start = next((place for place in range(len(self.stack) - 1, -1, -1) if self.stack[place] is _MARK), None)
        if start is None:
            raise ValueError("no mark")
        found = self.stack[start + 1:]
        del self.stack[start:]
        return found

    def _refused(self, what: str, place: int | None) -> UserError:
        return UserError(f"{self.where}, byte {place}: the pickle asks for {what}; only NumPy arrays, numbers, texts "
                         "and containers are read, and nothing is run. Is it the data set's own file?")

    def _name(self, argument: object, place: int | None) -> None:
        if argument is None:
            module, name = self._last(2)
            del self.stack[-2:]
        else:
            module, _, name = str(argument).partition(" ")
        if not isinstance(module, str) or not isinstance(name, str) or (module, name) not in _NAMES:
            raise self._refused(f"{module}.{name}", place)
        self.stack.append(_Known(_NAMES[module, name]))

    def _make(self, place: int | None) -> None:
        known, arguments = self._last(2)
        del self.stack[-2:]
        kind = known.kind if isinstance(known, _Known) else None
        if kind == _EMPTY:
            self.stack.append(_Array())
        elif kind == _TYPE:
            self.stack.append(_Dtype(_as_text(arguments[0])))
        elif kind == _WHOLE:  # protocol 5
            content, dtype, shape, order = arguments
            self.stack.append(_Array(_values(content, dtype, shape, order=order)))
        elif kind == _ENCODE and arguments[1:] == ("latin1",):  # how protocol 2 of Python 3 writes bytes
            self.stack.append(arguments[0].encode("latin-1"))
        elif kind == _BYTES and arguments == ():
            self.stack.append(b"")
        else:
            raise self._refused(f"a call of {kind or known!r}", place)

    def _fill(self) -> None:
        """The state of an array or of a type."""
        made, state = self._last(2)
        del self.stack[-1:]
        if isinstance(made, _Dtype):
            made.order = _as_text(state[1])
        elif isinstance(made, _Array):
            _, shape, dtype, fortran, content = state
            made.value = _values(content, dtype, shape, order="F" if fortran else "C")
        else:
            raise ValueError("a state for something that has none")


def _values(content: bytes | bytearray, dtype: _Dtype, shape: tuple, *, order: str) -> np.ndarray:
    text = dtype.text.lstrip("<>|=")
    if not set(text) <= _KINDS or dtype.order not in ("<", ">", "|", "="):
        raise ValueError(f"an array of type {dtype.text!r}")
    return np.frombuffer(content, dtype=np.dtype(text).newbyteorder(dtype.order)).reshape(shape, order=order)


def _as_text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _pairs(machine: _Machine, items: list) -> None:
    if len(items) % 2:
        raise ValueError("a key without a value")
    machine.stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _dict(machine: _Machine) -> None:
    items = machine.above_mark()
    machine.stack.append({})
    _pairs(machine, items)


def _setitem(machine: _Machine) -> None:
    items = machine._last(2)
    del machine.stack[-2:]
    _pairs(machine, items)


def _append(machine: _Machine) -> None:
    machine.stack[-2].append(machine.stack[-1])
    machine.stack.pop()


def _appends(machine: _Machine) -> None:
    items = machine.above_mark()
    machine.stack[-1].extend(items)


_CONTAINERS: dict[str, Callable[[_Machine], object]] = {
    "MARK": lambda machine: machine.stack.append(_MARK),
    "EMPTY_DICT": lambda machine: machine.stack.append({}),
    "EMPTY_LIST": lambda machine: machine.stack.append([]),
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.above_mark())),
    "LIST": lambda machine: machine.stack.append(machine.above_mark()),
    "DICT": _dict,
    "SETITEM": _setitem,
    "SETITEMS": lambda machine: _pairs(machine, machine.above_mark()),
    "APPEND": _append,
    "APPENDS": _appends,
    "POP": lambda machine: machine.stack.pop(),
}


def _plain(value: object, done: dict[int, object]) -> object:
    """Arrays in the place of what stood for them; what occurs twice is made once."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, _Known | _Dtype) or value is _MARK or (isinstance(value, _Array) and value.value is None):
        raise ValueError("a name or an empty array in the place of a value")
    if isinstance(value, _Array):
        plain: object = value.value
    elif isinstance(value, dict):
        plain = {key: _plain(part, done) for key, part in value.items()}
    elif isinstance(value, list | tuple):
        plain = type(value)(_plain(part, done) for part in value)
    else:
        return value
    done[id(value)] = plain
    return plain
