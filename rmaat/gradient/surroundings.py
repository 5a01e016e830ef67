"""What a segment's forward pass depends on besides its inputs: random states, autocast, what the step holds.

The whole random state is kept, not a seed a segment: so a step draws the very numbers that BPTT would draw, whatever
it draws and however often. That is 16 bytes a segment on CUDA; on CPU 5 kB, and some 10 microseconds to read, where
the step draws numbers, and nothing where it draws none.
"""

import random
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch.nn.utils import parametrize

from foundation.shapes import Tensor
from rmaat.gradient.held_state import HeldState, Kept


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _autocast(device_type: str) -> tuple[bool, torch.dtype]:
    return torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)


def _foreign() -> tuple:
    """The states of Python's random numbers and of NumPy's, where that is loaded."""
    numpy = sys.modules.get("numpy.random")
    return random.getstate(), None if numpy is None else numpy.get_state()


def _set_foreign(state: tuple) -> None:
    random.setstate(state[0])
    if state[1] is not None:
        sys.modules["numpy.random"].set_state(state[1])


def _same_foreign(one: tuple, other: tuple) -> bool:
    (python, numpy), (python_then, numpy_then) = one, other
    if python != python_then or (numpy is None) != (numpy_then is None):
        return False
    return numpy is None or (numpy[2:] == numpy_then[2:] and bool((numpy[1] == numpy_then[1]).all()))


@dataclass
class Surroundings:
    """Random states, autocast, what the step holds, at one moment; inside `with surroundings:` they are as then."""

    random: dict[torch.device, Tensor]
    foreign: tuple
    autocast: dict[str, tuple[bool, torch.dtype]]
    held: HeldState | None = None
    kept: list[Kept] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def now(cls, devices: Iterable[torch.device], before: "Surroundings | None" = None,
            held: HeldState | None = None) -> "Surroundings":
        """The present state; shares what it can with `before`, taken earlier in the same run."""
        devices = {torch.device("cpu"), *devices}
        states = {device: _random_state(device) for device in devices if device.type in ("cpu", "cuda")}
        foreign = _foreign()
        if before is not None:
            states = {device: before.random[device] if torch.equal(state, before.random[device]) else state
                      for device, state in states.items()}
            foreign = before.foreign if _same_foreign(foreign, before.foreign) else foreign
        return cls(states, foreign, {kind: _autocast(kind) for kind in {device.type for device in devices}
                                     if torch.amp.is_autocast_available(kind)}, held,
                   [] if held is None else held.now(before.kept if before is not None else None))

    def newer_than(self, before: "Surroundings") -> int:
        """Bytes of the random states, and of copies of what the step holds, that are not those of `before`."""
        shared = {id(kept) for kept in before.kept}
        copied = HeldState.nbytes(kept for kept in self.kept if id(kept) not in shared)
        drawn = [state for device, state in self.random.items() if state is not before.random[device]]
        return copied + sum(state.numel() for state in drawn)

    def __enter__(self) -> None:
        try:
            self._restore()
        except BaseException:
            self._stack.close()
            raise

    def _restore(self) -> None:
        outer = {device: _random_state(device) for device in self.random}
        self._stack.callback(lambda: [_set_random_state(device, state) for device, state in outer.items()])
        self._stack.callback(_set_foreign, _foreign())
        for device, state in self.random.items():
            _set_random_state(device, state)
        _set_foreign(self.foreign)
        for kind, (enabled, dtype) in self.autocast.items():
            if (enabled, dtype) != _autocast(kind):
                self._stack.enter_context(torch.autocast(kind, dtype=dtype, enabled=enabled))
        if self.held is not None:
            self._stack.enter_context(self.held.as_at(self.kept))

    def __exit__(self, *error) -> None:
        self._stack.close()


def forget_computed() -> None:
    """Drop what torch keeps of parameters under parametrize.cached(): it has no graph, or that of another segment."""
    parametrize._cache.clear()


@contextmanager
def hooks_off(parameters: Sequence[Tensor]):
    """A user's hooks on parameters see the whole gradient once, not every segment's share as well."""
    hooked = [(p._backward_hooks, dict(p._backward_hooks)) for p in parameters if p._backward_hooks]
    retained = [(p, p.grad) for p in parameters if p.retains_grad]
    for hooks, _ in hooked:
        hooks.clear()  # in place: the node of a parameter that is computed itself holds this dictionary too
    try:
        yield
    finally:
        for hooks, kept in hooked:
            hooks.update(kept)
        for p, grad in retained:
            p.grad = grad
