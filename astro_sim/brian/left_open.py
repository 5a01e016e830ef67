"""What a compiled program leaves open, so that it can be run again with other values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from astro_sim.brian.inputs import unscaled
from astro_sim.model import Connection, Population
from astro_sim.model.equation_text import symbols
from astro_sim.plan import Plan

LEFT_OPEN = "left_open"  # the name of the group of open parameters


@dataclass(frozen=True)
class LeftOpen:
    """What is not compiled in, so that a C++ program can be run again with other values of it.

    `parameters` by name; `courses`: (population, variable) of an input that changes in time -> how many courses.
    `parts`: population whose inputs move inside a step -> (parts of a step, ways to cut it, terms of an input). Initial
    values and inputs that are held are always open.
    """

    parameters: frozenset[str] = frozenset()
    courses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    parts: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def of(self, part: Population | Connection) -> list[str]:
        """The open parameters that a part uses."""
        texts = [*part.expressions(), getattr(part, "reset", None) or ""]
        return sorted(self.parameters & set().union(*map(symbols, texts)))

    def group(self, plan: Plan, clock: Any) -> Any:
        """The group that holds them, once for all parts; on Brian2's default clock it would make steps of its own."""
        import brian2

        text = "\n".join(f"{name} : {unscaled(plan.parameters[name].unit)} (shared, constant)"
                         for name in sorted(self.parameters))
        return brian2.NeuronGroup(1, text, clock=clock, name=LEFT_OPEN)

    def lend(self, part: Population | Connection, holder: Any, *takers: Any) -> None:
        """Make Brian2's objects of a part see the held parameters as their own."""
        for taker in takers:
            for name in self.of(part):
                taker.variables.add_reference(name, holder, name)
