"""What a segment's forward pass depends on besides its inputs: torch's random state and autocast.

The whole random state is kept, not a seed a segment: so a step draws the very numbers that BPTT would draw, whatever
it draws and however often. That is 16 bytes a segment on CUDA; on CPU 5 kB, and some 10 microseconds to read, where
the step draws numbers, and nothing where it draws none.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch.nn.utils import parametrize

from foundation.shapes import Tensor


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _autocast(device_type: str) -> tuple[bool, torch.dtype]:
    return torch.is_autocast_enabled(device_type), torch.get_autocast_dtype(device_type)


@dataclass
class Surroundings:
    """Random state and autocast at one moment; inside `with surroundings:` they are as they were then."""

    random: dict[torch.device, Tensor]
    autocast: dict[str, tuple[bool, torch.dtype]]
    _outer: dict[torch.device, Tensor] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def now(cls, devices: Iterable[torch.device], before: "Surroundings | None" = None) -> "Surroundings":
        """The present state; shares the tensors of `before` where nothing was drawn since (5 kB a segment on CPU)."""
        devices = {torch.device("cpu"), *devices}
        random = {device: _random_state(device) for device in devices if device.type in ("cpu", "cuda")}
        if before is not None:
            random = {device: before.random[device] if torch.equal(state, before.random[device]) else state
                      for device, state in random.items()}
        return cls(random, {kind: _autocast(kind) for kind in {device.type for device in devices}})

    def newer_than(self, before: "Surroundings") -> int:
        """Bytes of the random states that are not those of `before`."""
        return sum(state.numel() for device, state in self.random.items() if state is not before.random[device])

    def __enter__(self) -> None:
        for device, state in self.random.items():
            self._outer[device] = _random_state(device)
            _set_random_state(device, state)
        for kind, (enabled, dtype) in self.autocast.items():
            if (enabled, dtype) != _autocast(kind):
                self._stack.enter_context(torch.autocast(kind, dtype=dtype, enabled=enabled))

    def __exit__(self, *error) -> None:
        self._stack.close()
        for device, state in self._outer.items():
            _set_random_state(device, state)
        self._outer.clear()


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
