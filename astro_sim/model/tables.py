"""A model and its parameter sets as tables, with the units in which they are written on a command line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from astro_sim.parameter import Parameter
from foundation.table import Table

if TYPE_CHECKING:
    from astro_sim.model.model import Model


class ParameterSet(dict[str, Parameter]):
    """Parameters by name; a notebook shows them as a table, a terminal in a line."""

    def __init__(self, parameters: Mapping[str, Parameter], title: str = ""):
        super().__init__(parameters)
        self.title = title

    def table(self) -> Table:
        """A row a parameter: value, unit, basis, source, meaning."""
        rows = [(name, f"{p.value:.10g}", _shown(p.unit), p.basis, p.source, p.meaning) for name, p in self.items()]
        return Table(("parameter", "value", "unit", "basis", "source", "meaning"), rows, title=self.title)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        return f"<ParameterSet {self.title}: {', '.join(self)}>"


def model_table(model: "Model") -> Table:
    """What can be driven, what can be chosen, what is recorded."""
    rows = [("input", name, _shown(one.unit), one.meaning) for name, one in model.inputs.items()]
    rows += [("input", name, "spikes", one.meaning) for name, one in model.spike_inputs.items()]
    rows += [("option", name, "", one.meaning) for name, one in model.options.items()]
    rows += [("recorded", name, _shown(one.unit), one.long_name) for name, one in model.observables.items()]
    rows += [("recorded", name, "events", one.long_name) for name, one in model.events.items()]
    return Table(("", "name", "unit", "what it is"), rows, title=f"{model.name}: {model.summary}",
                 note=f"parameter sets, each a table by model.parameters(NAME): {', '.join(model.parameter_sets)}")


def _shown(unit: str) -> str:
    return "" if unit == "1" else unit
