"""A step that torch's checkpoint runs twice: the second time from where the first began, and compared with it."""

from collections.abc import Callable

from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import CheckpointError

from foundation.shapes import Tensor
from rmaat.gradient.alike import Comparison, Fingerprint, fingerprints
from rmaat.gradient.held_state import HeldState
from rmaat.gradient.surroundings import Surroundings, forget_computed


class Guarded:
    """One segment's call of `step`; `before` is the call of the segment before it.

    Errors: `UserError` in the backward pass where the replay differs, see `alike`.
    """

    def __init__(self, step: Callable, t: int, *, held: HeldState, before: "Guarded | None"):
        self.step, self.t, self.held = step, t, held
        self.before = before.surroundings if before is not None else None
        self.surroundings: Surroundings | None = None
        self.seen: tuple[list[Fingerprint], list[Fingerprint]] = ([], [])

    def __call__(self, x_t: object, memory: object) -> tuple:
        if self.surroundings is None:
            devices = {x.device for x in tree_leaves((x_t, memory)) if isinstance(x, Tensor)}
            self.surroundings, self.before = Surroundings.now(devices, self.before, self.held), None
            out_t, after = self.step(x_t, memory)
            self.held.check_frozen()
            self.seen = fingerprints(_tensors(out_t)), fingerprints(_tensors(after))
            return out_t, after
        forget_computed()
        comparison = Comparison("checkpointed")
        try:
            with self.surroundings:
                out_t, after = self.step(x_t, memory)
        except CheckpointError:  # torch counts what is kept for the backward pass, and may notice first
            raise comparison.differs(self.t, "number of tensors") from None
        forget_computed()
        exact = not any(enabled for enabled, _ in self.surroundings.autocast.values())
        for what, found, expected in zip(("out_t", "memory"), (out_t, after), self.seen, strict=True):
            comparison.outputs(_tensors(found), expected, t=self.t, what=what, exact=exact)
        comparison.finish()
        return out_t, after


def _tensors(value: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
