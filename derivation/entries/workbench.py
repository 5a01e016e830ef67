"""Where entries are made: the recordings and entries of one derivation, each made once, when it is first asked for."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from astro_sim.recording.recording import Recording
from derivation.record.points import Points
from derivation.record.record import Entry
from foundation.errors import UserError, choose
from foundation.fitting.least_squares import Fit


class Workbench:
    """What the function that makes an entry is given.

    `makers` (name -> function of a workbench that gives an `Entry`) says what can be made; `report` is told what is
    being done.
    """

    def __init__(self, makers: Mapping[str, "Maker"], report: Callable[[str], None] = lambda text: None):
        self.makers, self.report = makers, report
        self.recordings: dict[str, Recording] = {}
        self.entries: dict[str, Entry] = {}
        self.points: list[Points] = []
        self._being_made: list[str] = []

    def recording(self, name: str, simulate: Callable[[], Recording]) -> Recording:
        """The recording `name` of this derivation; `simulate` makes it where no entry asked for it before."""
        if name not in self.recordings:
            self.report(f"simulation {name}")
            self.recordings[name] = simulate()
        return self.recordings[name]

    def keep(self, about: str, at: tuple[str, Sequence[float]], observed: Sequence[float], *, unit: str = "1",
             formula: str = "", fitted: Fit | None = None, comparison: str = "", **fixed: float) -> None:
        """Keep the points that the entry being made is held against: `observed` [n] `at` (argument, values [n]).

        `fitted` is the fit of `formula` to them, `comparison` the name of the entry's rivals for them, `fixed` what its
        other arguments are.
        """
        argument, values = at
        places, found = (tuple(np.asarray(numbers, dtype=float).tolist()) for numbers in (values, observed))
        self.points.append(Points(self._being_made[-1], about, unit, argument, places, found, fixed, formula,
                                  dict(fitted.values) if fitted else {}, comparison))

    def entry(self, name: str) -> Entry:
        """Another entry of this derivation, which is made first where it is not there yet.

        Raises `UserError` for an entry that nobody makes, one that rests on itself, and a maker that gives no `Entry`.
        """
        if name in self.entries:
            return self.entries[name]
        maker = choose("entry", name, dict(self.makers))
        if name in self._being_made:
            raise UserError(f"entry '{name}' rests on itself: {' -> '.join([*self._being_made, name])}")
        if not callable(maker):
            raise UserError(f"entry '{name}': a {type(maker).__name__} makes no entry; give a function of a workbench")
        self.report(f"entry {name}")
        self._being_made.append(name)
        made = maker(self)
        self._being_made.pop()
        if not isinstance(made, Entry):
            raise UserError(f"entry '{name}': its function gave a {type(made).__name__}; let it give a "
                            "derivation.Entry")
        self.entries[name] = made
        return made


Maker = Callable[[Workbench], Entry]
