"""The record as torch sees it: retention schedule, position kernel, calcium response and feedback, from their text."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from derivation.record import bounds, closed_form, record
from foundation.errors import DamagedFileError
from foundation.shapes import Float, Tensor

ARGUMENTS = {"retention": ("t", "T"), "relative_position": ("distance",), "calcium_response": ("drive",),
             "feedback": ("calcium",)}


def _either(on_tensor: Callable, on_float: Callable) -> Callable:
    return lambda x: on_tensor(x) if isinstance(x, Tensor) else on_float(x)


TORCH: Mapping[str, Callable] = {"exp": _either(torch.exp, math.exp), "log": _either(torch.log, math.log),
                                 "tanh": _either(torch.tanh, math.tanh), "sqrt": _either(torch.sqrt, math.sqrt)}


class Curve:
    """A closed form of the record as a function of tensors, called with the argument names of its entry."""

    def __init__(self, name: str, entry: record.Entry):
        self.name, self.entry, self.formula = name, entry, entry.formula
        self.constants = {key: constant.value for key, constant in entry.constants.items()}

    def __call__(self, **arguments) -> Tensor:
        value = closed_form.evaluate(self.formula, self.constants | arguments, TORCH)
        if isinstance(value, Tensor):
            return value
        return torch.full_like(next(x for x in arguments.values() if isinstance(x, Tensor)), value)  # a constant form

    def __repr__(self) -> str:
        return f"{self.name}: {self.formula}"


@dataclass(frozen=True)
class Biology:
    """All that the network takes from the record.

    Shapes: `retention(T)` [T] float64; the curves map a tensor to one of its own shape. No units: the record is
    dimensionless. Raises `DamagedFileError` for a record without the entries, arguments or values used here.
    """

    record: record.Record
    curves: Mapping[str, Curve]

    @classmethod
    def load(cls, path: str | Path | None = None) -> "Biology":
        """Read a record; the committed one by default."""
        return cls.of(record.load(path))

    @classmethod
    def of(cls, source: record.Record) -> "Biology":
        """From a record at hand. Raises `DamagedFileError` where it lacks what the network takes."""
        for name, arguments in ARGUMENTS.items():
            if name not in source.entries:
                raise DamagedFileError(f"record: entry {name!r} is missing; the network needs {', '.join(ARGUMENTS)}")
            if set(source.entries[name].arguments) != set(arguments):
                given = ", ".join(source.entries[name].arguments)
                raise DamagedFileError(f"record: entry {name!r} has the arguments {given}; the network gives "
                                       f"{', '.join(arguments)}")
        biology = cls(source, {name: Curve(name, source.entries[name]) for name in ARGUMENTS})
        biology._check()
        return biology

    def __repr__(self) -> str:
        return f"Biology(record {self.record.hash[:12]}, q {self.q:.6g})"

    def _check(self) -> None:
        """A form may be well written and still useless: look at a few values before a run starts."""
        if not 0 < self.q < 1:
            raise DamagedFileError(f"record: retention constant q is {self.q}; it must lie between 0 and 1")
        sample = torch.tensor([.5, 1, 8, 64], dtype=torch.float64, device="cpu")
        for name, values in (("retention", self.retention(8)), ("relative_position", self.relative_position(sample)),
                             ("calcium_response", self.calcium_response(sample)), ("feedback", self.feedback(sample))):
            if not bool((torch.isfinite(values) & (values > 0)).all()):
                raise DamagedFileError(f"record: {name} must be finite and positive; "
                                       f"{self.curves[name].formula!r} is not")
        bounds.check(self.record)

    @property
    def q(self) -> float:
        """Ratio of consecutive retention factors: what one cycle leaves of the long-term state."""
        constants = self.curves["retention"].constants
        if "q" not in constants:
            raise DamagedFileError("record: entry 'retention' has no constant q")
        return constants["q"]

    def retention(self, num_segments: int) -> Float[Tensor, "num_segments"]:
        """RF(t, T) for t = 1..T, float64 on the CPU."""
        t = torch.arange(1, num_segments + 1, dtype=torch.float64, device="cpu")
        return self.curves["retention"](t=t, T=float(num_segments))

    def relative_position(self, distance: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Coupling of two astrocyte processes `distance` places apart."""
        return self.curves["relative_position"](distance=distance)

    def calcium_response(self, drive: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Calcium that the summed keys cause."""
        return self.curves["calcium_response"](drive=drive)

    def feedback(self, calcium: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Presynaptic feedback of the calcium response, one number a query."""
        return self.curves["feedback"](calcium=calcium)
