"""Calcium response and feedback: what the record says, or the papers' formulas by name, behind one signature.

Each choice is a function of the record, `choice(biology) -> (curve, origin)`; `curve(drive=...)` or
`curve(calcium=...)` maps a tensor to one of its own shape.
"""

from collections.abc import Callable

import torch

from foundation.errors import UserError
from foundation.shapes import Tensor
from rmaat.biology.biology import Biology, Curve
from rmaat.biology.provenance import Engineering, FromRecord, Origin, declare

Chosen = tuple[Callable[..., Tensor], Origin]
SAMPLED, FACTOR, EXACT = (1e-3, .5, 1., 8., 1e4), 3, 1e-12

origins = declare(
    SAMPLED=Engineering(SAMPLED, "calcium at which a feedback is asked whether it is a multiple of 1/C"),
    FACTOR=Engineering(FACTOR, "by which calcium is scaled for that question"),
    EXACT=Engineering(EXACT, "some thousand roundings of float64: how closely it must be"))


class Power:
    """drive^exponent."""

    def __init__(self, exponent: float):
        self.exponent = exponent

    def __call__(self, drive: Tensor) -> Tensor:
        return drive if self.exponent == 1 else drive ** self.exponent

    def __repr__(self) -> str:
        return f"drive**{self.exponent:g}"


class Inverse:
    """1/calcium."""

    def __call__(self, calcium: Tensor) -> Tensor:
        return 1 / calcium

    def __repr__(self) -> str:
        return "1/calcium"


def _of_record(entry: str, equation: str) -> Callable[[Biology], Chosen]:
    return lambda biology: (biology.curves[entry], FromRecord(entry, equation=equation))


def _power(exponent: float, why: str) -> Callable[[Biology], Chosen]:
    return lambda biology: (Power(exponent), Engineering(None, why))


def _inverse(biology: Biology) -> Chosen:
    return Inverse(), Engineering(None, "1/C as Mia2026 writes it, whatever the record has")


def _optional(option: str, entry: str, equation: str, *, others: str) -> Callable[[Biology], Chosen]:
    """An entry that a record may have or not."""
    def choice(biology: Biology) -> Chosen:
        if entry not in biology.record.entries:
            raise UserError(f"{option}: the record has no entry {entry!r}; choose {others}")
        return Curve(entry, biology.record.entry(entry)), FromRecord(entry, equation=equation)

    return choice


CALCIUM_EXPONENT = {"record": _of_record("calcium_response", "E5.3"),
                    "1": _power(1., "the exponent of linear attention's normaliser, whatever the record has"),
                    "0.25": _power(.25, "the exponent that Mia2025 states, whatever the record has"),
                    "fitted": _optional("calcium_exponent = 'fitted'", "calcium_response_fitted", "E4.13",
                                        others="record, 1 or 0.25")}
FEEDBACK = {"record": _of_record("feedback", "E4.6"), "inverse": _inverse,
            "bound": _optional("feedback = 'bound'", "feedback_bound", "E4.9", others="record or inverse")}


def scale_free(feedback: Callable[..., Tensor]) -> bool:
    """Whether P(s C) = P(C)/s: then a factor of a query's phi(Q) has no influence on its result."""
    calcium = torch.tensor(SAMPLED, dtype=torch.float64, device="cpu")
    ratio = FACTOR * feedback(calcium=FACTOR * calcium) / feedback(calcium=calcium)
    return bool(((ratio - 1).abs() < EXACT).all())
