"""The long-term process: tau_pl, gamma_l and kappa from the rule of Graupner and Brunel under pairs of spikes."""

import dataclasses
import itertools
from functools import cache
from math import exp, log

import numpy as np

from astro_sim.models import MODELS
from astro_sim.models.graupner_brunel import pairing_curve
from astro_sim.parameter import Parameter
from derivation.reductions.cycle import tau_cycle
from derivation.reductions.reduction import (
    CLOSED_FORM_STEP,
    Changes,
    Held,
    Reduction,
    Valid,
    assumed,
    reach,
    values,
)
from derivation.reductions.synapse import BETA
from derivation.simulation.simulations import DUTY, NUM_CYCLES

MODEL, SET = "graupner_brunel", "DP"
PROTOCOL = {"pair_offset": assumed(10.0, "msecond", "from the presynaptic to the postsynaptic spike of a pair"),
            "pair_period": assumed(1.0, "second", "between pairs while a cycle is driven"),
            "duty": assumed(DUTY, "1", "share of a cycle that is driven")}
SEARCHED = (0.02, 50.0)  # hertz, rates of pairs
STEPS = 4  # of rk4 in a stretch with constant rates, the longest of which is a hundredth of tau


def _rule(*names: str) -> dict[str, Parameter]:
    table = MODELS[MODEL].parameters(SET)
    return {name: table[name] for name in names}


def time_parameters() -> dict[str, Parameter]:
    """Parameters that the time constant depends on, by name."""
    return _rule("tau")


def tau_pl(changes: Changes = None) -> float:
    """Time constant of the long-term process in seconds: that of the rule."""
    # (E3.10) tau_pl = tau
    return values(time_parameters(), changes)["tau"]


def rule_parameters() -> dict[str, Parameter]:
    """What the decay rests on: the rule's parameters that act on the time above the thresholds, and the protocol."""
    return _rule("tau_Ca", "C_pre", "C_post", "D", "theta_d", "theta_p", "gamma_d", "gamma_p") | PROTOCOL


def _plain(table: dict[str, Parameter], changes: Changes) -> dict[str, float]:
    """Plain numbers, times in seconds."""
    given = values(table, changes)
    return pairing_curve.numbers({name: dataclasses.replace(one, value=given[name]) for name, one in table.items()})


def gamma_l(changes: Changes = None) -> float:
    """Decay of the long-term process, no unit: the mean rate gamma_p alpha_p + gamma_d alpha_d over a cycle.

    While pairs come, rho moves to its mean at that rate over tau; in the rest of the cycle it rests.
    """
    plain = _plain(rule_parameters(), changes)
    # (E3.11) gamma_l = duty (gamma_p alpha_p + gamma_d alpha_d)
    return plain["duty"] * pairing_curve.mean_rate(plain, plain["pair_offset"], plain["pair_period"])


def gain_parameters() -> dict[str, Parameter]:
    """Parameters that the gain depends on, by name."""
    kept = ("tau_Ca", "C_pre", "C_post", "D", "theta_p", "gamma_p")
    return _rule(*kept) | {name: PROTOCOL[name] for name in ("pair_offset", "pair_period")} | {"beta": BETA}


def kappa(changes: Changes = None) -> float:
    """Gain of a synapse on the long-term process, no unit: then p_l is the efficacy rho.

    A synapse whose neurons are both active has s = 1/beta, while rho rises at gamma_p alpha_p.
    """
    plain = _plain(gain_parameters() | _rule("theta_d"), changes)
    above = pairing_curve.fractions_above(plain, plain["pair_offset"], plain["pair_period"])[0]
    # (E3.12) kappa = beta gamma_p alpha_p
    return plain["beta"] * plain["gamma_p"] * above


# ---------------------------------------------------------------------------------------------- the full model


def efficacy(period: float, cycle: float, cubic: bool = True, *, cycles: int = NUM_CYCLES) -> np.ndarray:
    """The whole rule: rho at the start and at the ends of the cycles, float64 [cycles + 1], from the low state.

    Pairs each `period` seconds begin with each cycle of `cycle` seconds and stop after its driven part. Calcium is
    exact; rho takes rk4 steps between its crossings of the thresholds.
    """
    rule = _plain(MODELS[MODEL].parameters(SET) | PROTOCOL, None)
    pairs = [n * cycle + start for n in range(cycles) for start in np.arange(0, rule["duty"] * cycle, period)]
    events = sorted([(time + rule["D"], rule["C_pre"]) for time in pairs]
                    + [(time + rule["pair_offset"], rule["C_post"]) for time in pairs]
                    + [(n * cycle, None) for n in range(1, cycles + 1)])
    now, calcium, rho, ends = 0.0, 0.0, 0.0, [0.0]
    for time, amplitude in events:
        rho = _between(rule, rho, calcium, length=time - now, cubic=cubic)
        calcium *= exp(-(time - now) / rule["tau_Ca"])
        now = time
        if amplitude is None:
            ends.append(rho)
        else:
            calcium += amplitude
    return np.array(ends)


def _between(rule: dict[str, float], rho: float, calcium: float, *, length: float, cubic: bool) -> float:
    """rho after `length` seconds without a spike, from calcium that decays through the thresholds."""
    above = {key: min(length, rule["tau_Ca"] * log(max(calcium / rule[f"theta_{key}"], 1.0))) for key in ("p", "d")}
    marks = sorted([0.0, *above.values(), length])
    for start, end in itertools.pairwise(marks):
        rises, falls = (rule[f"gamma_{key}"] * (start < above[key]) for key in ("p", "d"))

        def speed(x, rises=rises, falls=falls):
            own = -x * (1 - x) * (rule["rho_star"] - x) if cubic else 0.0
            return (own + rises * (1 - x) - falls * x) / rule["tau"]

        step = (end - start) / STEPS
        for _ in range(STEPS if step > 0 else 0):
            k1 = speed(rho)
            k2 = speed(rho + step / 2 * k1)
            k3 = speed(rho + step / 2 * k2)
            rho += step / 6 * (k1 + 2 * k2 + 2 * k3 + speed(rho + step * k3))
    return rho


def reduced_efficacy(period: float, cycle: float) -> np.ndarray:
    """The reduced process at the ends of the cycles, float64 [cycles + 1]: p -> q p + (1-q) of its capacity."""
    decay, gain = gamma_l({"pair_period": period}), kappa({"pair_period": period})
    q = exp(-decay * cycle / tau_pl())
    capacity = PROTOCOL["duty"].value * gain / BETA.value / decay
    return capacity * (1 - q ** np.arange(NUM_CYCLES + 1))


def cycle_error(period: float, cycle: float, cubic: bool = True) -> float:
    """Largest deviation of the reduced process at the ends of the cycles, over the full one's last."""
    full = efficacy(period, cycle, cubic)
    return float(np.abs(full - reduced_efficacy(period, cycle)).max() / full[-1])


@cache
def held() -> Held:
    """For tau_pl, gamma_l and kappa together: they are one process."""
    cycle, period = tau_cycle(), PROTOCOL["pair_period"].value

    def error(rate: float) -> float:
        return cycle_error(1 / rate, cycle)

    slowest, fastest = (reach(error, 1 / period, end, points=60) for end in SEARCHED)
    return Held(error(1 / period), f"rho at the ends of {NUM_CYCLES} driven cycles, over the last",
                Valid("rate of pairs", "hertz", low=slowest, high=fastest,
                      note=f"searched from {SEARCHED[0]:g} to {SEARCHED[1]:g} hertz"))


_PAIRS = "pairs of spikes {pair_offset} apart, one a {pair_period}, in a share of {duty} of each of six cycles".format(
    **{name: f"{one.value:g} {one.unit}".removesuffix(" 1") for name, one in PROTOCOL.items()})

REDUCTIONS = {
    "tau_pl": Reduction(
        value=tau_pl,
        parameters=time_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="second",
        meaning="time constant of the long-term process",
        equation="E3.10",
        protocol=_PAIRS,
        neglected="the cubic term, which keeps rho at 0 and 1",
        held=held),
    "gamma_l": Reduction(
        value=gamma_l,
        parameters=rule_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="1",
        meaning="decay of the long-term process",
        equation="E3.11",
        protocol=_PAIRS,
        neglected="the cubic term, and that a driven part of a cycle holds a whole number of pairs",
        held=held),
    "kappa": Reduction(
        value=kappa,
        parameters=gain_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="1",
        meaning="gain of a synapse on the long-term process: p_l is then the efficacy rho",
        equation="E3.12",
        protocol=_PAIRS,
        neglected="as gamma_l; the synapse's rise to 1/beta, and what psi adds to it",
        held=held),
}
