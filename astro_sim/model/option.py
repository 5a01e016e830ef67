"""Structural options of a model: what may be chosen, and how a choice is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from astro_sim.protocols.text import chosen_elements
from foundation.errors import UserError, unknown

Options = Mapping[str, object]


@dataclass(frozen=True)
class Option:
    """A structural choice: `allowed` is a tuple of names, or (lowest, highest) of a number.

    The default's type says which: a name, a whole number, a number, or whole numbers (text such as 0+0+1-3). `later`: a
    model got it after it had made recordings; at its default it is not named in new ones, so that their hashes agree.
    """

    default: object
    allowed: tuple
    meaning: str
    later: bool = False

    def read(self, name: str, given: Any) -> Any:
        """`given` (text or value) as an allowed value; raises `UserError` with what is allowed."""
        if isinstance(self.default, str):
            if given not in self.allowed:
                raise unknown(f"value of option {name}", str(given), self.allowed)
            return given
        if isinstance(self.default, tuple):
            return self._whole_numbers(name, given)
        kind, words = (float, "a number") if isinstance(self.default, float) else (int, "a whole number")
        low, high = self.allowed
        try:
            value = kind(str(given))
        except ValueError:
            value = low - 1
        if not low <= value <= high:  # NaN too
            raise UserError(f"option {name}: '{given}' is not allowed; give {words} from {low} to {high}")
        return value

    def _whole_numbers(self, name: str, given: Any) -> tuple[int, ...]:
        low, high = self.allowed
        try:
            found = chosen_elements(given) if given is not None else ()
            if not isinstance(given, str) and any(float(one) != int(one) for one in given):
                raise ValueError
        except (TypeError, ValueError, UserError) as error:
            raise UserError(f"option {name}: '{str(given)[:40]}' is not allowed; give whole numbers from {low} to "
                            f"{high}, as in 0+0+1") from error
        if any(not low <= one <= high for one in found):
            raise UserError(f"option {name}: {next(one for one in found if not low <= one <= high)} is not allowed; "
                            f"give whole numbers from {low} to {high}")
        return found


SCHEME = Option("extrapolated", ("extrapolated", "held"), "sums over connections during a step: extrapolated to its "
                "middle (second order in dt) or held at its start (first order; stiff coupling allows longer steps)")
