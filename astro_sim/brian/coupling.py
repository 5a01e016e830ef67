"""How sums over connections are computed, where pair by pair and held over a step is not good enough.

By FFT: on a regular grid where the weight of a pair depends on its distance alone, the sum over all pairs is a
convolution. N processes then cost N log N a step instead of N^2, exact to rounding.

Extrapolated: a sum held over a step at its value at the start makes the coupling first order in dt, whatever the order
of the integrator. Held at its extrapolation to the middle of the step, from this step's value and the last one's, it is
second order at no cost in sums. It is for sums that move smoothly, not for those that jump at spikes; and where the
coupling is stiff (fast diffusion) the step may be at most half as long as with held sums.
"""

import re
from collections.abc import Iterable
from typing import Any

from astro_sim.model import Connection, Model, Options, Population
from astro_sim.model.equation_text import evaluator, lines
from astro_sim.plan import Plan
from foundation.errors import UserError

MIDDLE = """
fresh = {name}
{name} = fresh + 0.5*(fresh - {name}_before)*int(t_in_timesteps > 0)
{name}_before = fresh
"""


def grid_operation(plan: Plan, connection: Connection, group: Any, *, clock: Any) -> Any:
    """A Brian2 operation that sums a connection by FFT, in the place of its Synapses and in their order of the step."""
    import brian2

    from astro_sim.model.grid_sum import GridSum

    variables = {line.name: line for line in lines(plan.model.population(connection.source).equations)}
    target, weight, source = weight_and_source(connection)
    constants = {name: float(parameter.quantity()) for name, parameter in plan.parameters.items()}
    falls, value = (evaluator(expression, text) for expression, text in
                    ((connection.fixed[weight], ""), (source, plan.model.population(connection.source).equations)))
    total = GridSum(connection.grid(plan.options), lambda far: falls({**constants, "distance": far}))
    states = {name: group.variables[name] for name, line in variables.items() if line.kind != "subexpression"}

    def add_up():
        now = {name: variable.get_value() for name, variable in states.items()}
        now[target][:] = total(value({**constants, **now}))

    return brian2.NetworkOperation(add_up, clock=clock, when="before_start", order=connection.order + 100,
                                   name=connection.name)


def weight_and_source(connection: Connection) -> tuple[str, str, str]:
    """(variable filled, weight, variable summed) of a connection "coupling_post = T*psi_pre : 1 (summed)".

    Errors: `UserError` for text of any other form.
    """
    summed = [line for line in lines(connection.equations) if "summed" in line.flags]
    found = re.fullmatch(r"(\w+)\s*\*\s*(\w+)_pre", summed[0].expression) if len(summed) == 1 else None
    if not found or found[1] not in connection.fixed or not summed[0].name.endswith("_post"):
        raise UserError(f"{connection.name}: a sum on a grid is written 'y_post = weight*x_pre : unit (summed)', its "
                        "weight a fixed expression in distance")
    return summed[0].name.removesuffix("_post"), found[1], found[2]


def extrapolated(model: Model, options: Options, population: Population) -> dict[str, str]:
    """The variables of a population that hold sums to be extrapolated, and their units; none with held sums."""
    if options.get("coupling_scheme") != "extrapolated":
        return {}
    filled = {name for connection in model.active_connections(options) if connection.coupling_order == 1
              for name, target in connection.filled().items() if target == population.name}
    return {line.name: line.unit for line in lines(population.equations) if line.name in filled}


def extrapolate(group: Any, names: Iterable[str]) -> None:
    """Let a Brian2 group move its sums to the middle of the step, when all sums are there and before any state moves.

    The group must have a variable NAME_before for each. Works on every backend.
    """
    for name in names:
        # (E1.11) S(t + dt/2) = S(t) + (S(t) - S(t - dt))/2 + O(dt^2)
        group.run_regularly(MIDDLE.format(name=name), when="groups", order=-50, name=f"{group.name}_{name}_middle")
