"""From biophysical models to the macro model's constants: each a number, and what every parameter does to it.

Two constants are reduced so far: the cycle from the calcium oscillation, the decay of the long-term process from the
rule of Graupner and Brunel under pairs of spikes. What is neglected stands with each.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from astro_sim import pairing_curve
from astro_sim.models import MODELS
from astro_sim.parameter import Parameter, split_quantity
from derivation import limit_cycle
from derivation.record import ParameterUse
from derivation.simulations import CALCIUM_MODEL, CALCIUM_SET, DUTY, IP3

RULE, RULE_SET = "graupner_brunel", "DP"
# Shares of a parameter for central differences: of the period, whose solver is off by 1e-9, and of a closed form.
PERIOD_STEP, CLOSED_FORM_STEP = 1e-3, 1e-5


def _assumed(value: float, unit: str, meaning: str) -> Parameter:
    return Parameter(value, unit, meaning, "assumed here", "assumed")


PROTOCOL = {"pair_offset": _assumed(10.0, "msecond", "from the presynaptic to the postsynaptic spike of a pair"),
            "pair_period": _assumed(1.0, "second", "between pairs while a cycle is driven"),
            "duty": _assumed(DUTY, "1", "share of a cycle that is driven")}


# ---------------------------------------------------------------------------------------------- tau_cycle


def calcium_parameters() -> dict[str, Parameter]:
    level = Parameter(*split_quantity(IP3, "ip3"), "IP3 concentration: the drive at which the period is taken",
                      "assumed here", "assumed")
    return {**MODELS[CALCIUM_MODEL].parameters(CALCIUM_SET), "ip3": level}


def tau_cycle(changes: Mapping[str, float] | None = None) -> float:
    """Period in seconds of the calcium oscillation, some parameters (or `ip3`) at other values of their own units."""
    changes = changes or {}
    model, level = MODELS[CALCIUM_MODEL], calcium_parameters()["ip3"]
    for name, value in changes.items():
        if name == "ip3":
            level = dataclasses.replace(level, value=value)
        else:
            model = limit_cycle.with_parameter(model, CALCIUM_SET, name, value)
    near = _base_cycle() if changes else None
    return limit_cycle.limit_cycle(model, CALCIUM_SET, "ip3", level, near).seconds


@cache
def _base_cycle() -> limit_cycle.Cycle:
    return limit_cycle.limit_cycle(MODELS[CALCIUM_MODEL], CALCIUM_SET, "ip3", calcium_parameters()["ip3"])


# ---------------------------------------------------------------------------------------------- gamma_l


def rule_parameters() -> dict[str, Parameter]:
    """What the decay rests on: the rule's parameters that act on the time above the thresholds, and the protocol."""
    table = MODELS[RULE].parameters(RULE_SET)
    kept = ("tau_Ca", "C_pre", "C_post", "D", "theta_d", "theta_p", "gamma_d", "gamma_p")
    return {name: table[name] for name in kept} | PROTOCOL


def gamma_l(changes: Mapping[str, float] | None = None) -> float:
    """Decay of the long-term process, no unit: the mean rate gamma_p alpha_p + gamma_d alpha_d over a cycle.

    While pairs come, rho moves to its mean at that rate over tau; in the rest of the cycle it rests. Neglected: the
    cubic term, which drifts to the stable states at about a hundredth of that rate, and whole pairs at a cycle's ends.
    Source: the rule GraupnerBrunel2012; the reduction is derived here.
    """
    values = {name: dataclasses.replace(parameter, value=(changes or {}).get(name, parameter.value))
              for name, parameter in rule_parameters().items()}
    plain = pairing_curve.numbers(values)
    return plain["duty"] * pairing_curve.mean_rate(plain, plain["pair_offset"], plain["pair_period"])


# ---------------------------------------------------------------------------------------------- chains


@dataclasses.dataclass(frozen=True)
class Reduction:
    """A macro constant as a function of biophysical parameters: `value(changes)`, `parameters()`, and its model."""

    value: Callable[[Mapping[str, float] | None], float]
    parameters: Callable[[], dict[str, Parameter]]
    model: str
    relative_step: float

    def slopes(self) -> dict[str, float]:
        """d(constant)/d(parameter), in the constant's unit per unit of each parameter, by central differences."""
        found = {}
        for name, parameter in self.parameters().items():
            step = self.relative_step * parameter.value
            up, down = (self.value({name: parameter.value + change}) for change in (step, -step))
            found[name] = (up - down) / (2 * step)
        return found

    def uses(self, constant: ParameterUse) -> Iterator[ParameterUse]:
        """The parameters behind `constant`, each with what it does to the entry's constants through it.

        Their names carry the model's, `li_rinzel.O_2`: the papers use one letter for several things.
        """
        slopes = self.slopes()
        for name, parameter in self.parameters().items():
            sensitivity = {key: slope * slopes[name] for key, slope in constant.sensitivity.items()}
            yield ParameterUse(f"{self.model.partition(':')[0]}.{name}", parameter.value, parameter.unit,
                               parameter.meaning, parameter.source, parameter.basis, self.model, sensitivity,
                               constant.name)


REDUCTIONS = {
    "tau_cycle": Reduction(tau_cycle, calcium_parameters, f"{CALCIUM_MODEL}:{CALCIUM_SET}", PERIOD_STEP),
    "gamma_l": Reduction(gamma_l, rule_parameters, f"{RULE}:{RULE_SET}", CLOSED_FORM_STEP),
}
