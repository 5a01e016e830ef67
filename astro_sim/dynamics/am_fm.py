"""Whether a stimulus is encoded in the amplitude of an oscillation (AM), its frequency (FM), or both (AFM).

Source of the terms: DePitta2009; the depth of modulation is that of signal processing, its threshold is assumed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from foundation.errors import UserError

DEEP = 0.2  # a depth above which amplitude or frequency counts as modulated: largest over smallest is 1.5


@dataclass(frozen=True)
class Encoding:
    """Amplitudes (unit of the variable) and frequencies (1/s) at the levels (unit of the input) that oscillate.

    `depth_am`, `depth_fm`: (largest - smallest)/(largest + smallest), 0 to 1. `index`: -1 where amplitude alone
    changes, 1 where frequency alone does. `word`: AM, FM, AFM or "neither". `silent`: levels without oscillation.
    """

    levels: tuple[float, ...]
    amplitudes: tuple[float, ...]
    frequencies: tuple[float, ...]
    silent: tuple[float, ...]
    depth_am: float
    depth_fm: float

    @property
    def index(self) -> float:
        """-1 (amplitude alone changes) to 1 (frequency alone), dimensionless; 0 where neither does."""
        # (E2.36) which of the two changes more
        both = self.depth_fm + self.depth_am
        return (self.depth_fm - self.depth_am) / both if both else 0.0

    @property
    def word(self) -> str:
        """"AM", "FM", "AFM" for both, or "neither": a depth counts from `DEEP` on."""
        return {(True, False): "AM", (False, True): "FM", (True, True): "AFM"}.get(
            (self.depth_am >= DEEP, self.depth_fm >= DEEP), "neither")


def depth(values: Sequence[float]) -> float:
    """Depth of modulation: 0 where all values are alike, 1/3 where the largest is twice the smallest."""
    # (E2.35) of amplitudes or of frequencies
    return (max(values) - min(values)) / (max(values) + min(values))


def modulation(levels, amplitudes, frequencies, silent=()) -> Encoding:
    """The encoding by levels that oscillate. Errors: `UserError` with fewer than two of them."""
    if len(levels) < 2:
        raise UserError(f"no encoding: {len(levels)} levels oscillate, not two; give more levels inside the range of "
                        "the oscillation")
    rows = sorted(zip(levels, amplitudes, frequencies, strict=True))
    levels, amplitudes, frequencies = (tuple(map(float, column)) for column in zip(*rows, strict=True))
    return Encoding(levels, amplitudes, frequencies, tuple(sorted(map(float, silent))), depth(amplitudes),
                    depth(frequencies))
