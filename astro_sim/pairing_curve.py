"""What Graupner and Brunel's rule does to a synapse under periodic pairs of spikes, in closed form.

`values` are plain numbers in seconds, by the names of the model; take them from a parameter set with `numbers`.
"""

from collections.abc import Mapping
from math import erf, exp, log, sqrt

from astro_sim.parameter import Parameter, convert
from foundation.errors import UserError


def numbers(parameters: Mapping[str, Parameter]) -> dict[str, float]:
    """Parameter values as plain numbers: times in seconds, the others as they are."""
    return {name: p.value if p.unit == "1" else convert(p.value, p.unit, "second", name)
            for name, p in parameters.items()}


def fractions_above(values: Mapping[str, float], offset: float, period: float) -> tuple[float, float]:
    """(alpha_p, alpha_d): the shares of time that calcium spends above theta_p and theta_d.

    Periodic pairs, one presynaptic spike and a postsynaptic one `offset` s later each `period` s, after the first few.
    Calcium left from earlier pairs is counted. Errors: `UserError` for a period that is not above zero.
    """
    if period <= 0:
        raise UserError(f"period: {period} s is not allowed; it must be above zero")
    decay = values["tau_Ca"]
    gap = (offset - values["D"]) % period  # from the presynaptic jump to the postsynaptic one
    left = 1 - exp(-period / decay)
    pre, post = values["C_pre"], values["C_post"]
    peaks = ((pre + post * exp(-(period - gap) / decay)) / left, gap), ((post + pre * exp(-gap / decay)) / left,
                                                                       period - gap)

    # (E2.10) calcium decays from each peak until the next jump
    def share(threshold):
        return sum(min(length, decay * log(peak / threshold)) if peak > threshold else 0.0
                   for peak, length in peaks) / period

    return share(values["theta_p"]), share(values["theta_d"])


def mean_rate(values: Mapping[str, float], offset: float, period: float) -> float:
    """gamma_p alpha_p + gamma_d alpha_d: how fast, in units of 1/tau, pairs carry rho to its mean; no unit."""
    high, low = fractions_above(values, offset, period)
    return values["gamma_p"] * high + values["gamma_d"] * low


def transitions(values: Mapping[str, float], offset: float, period: float, count: int) -> tuple[float, float]:
    """(up, down): the probabilities to be above rho_star from 0, and below it from 1, after `count` pairs.

    Neglects the cubic term (small against the rates while spikes come) and takes the mean of drift and noise over a
    pair. Without noise a probability is 0 or 1. Source: GraupnerBrunel2012, supplement.
    """
    high, low = fractions_above(values, offset, period)
    rise, rate = values["gamma_p"] * high, mean_rate(values, offset, period)
    if rate == 0:
        return 0.0, 0.0
    left = exp(-count * period * rate / values["tau"])
    # an Ornstein-Uhlenbeck process: mean and spread of rho after the pairs
    spread = values["sigma"] * sqrt((high + low) / (2 * rate) * (1 - left**2))

    def above(start):
        distance = rise / rate + (start - rise / rate) * left - values["rho_star"]
        return float(distance > 0) if spread == 0 else (1 + erf(distance / (sqrt(2) * spread))) / 2

    return above(0.0), 1 - above(1.0)


def change_of_strength(values: Mapping[str, float], offset: float, period: float, count: int, b: float = 5.0,
                       beta: float = 0.5) -> float:
    """Mean synaptic strength after `count` pairs over that before; no unit.

    b: strength of the high state over that of the low one; beta: share of synapses in the low state before. Once the
    pairs are over every synapse falls to the state on whose side of rho_star it is. Source: GraupnerBrunel2012.
    """
    up, down = transitions(values, offset, period, count)
    # (E2.11) low and high states before and after
    low = beta * (1 - up) + (1 - beta) * down
    return (low + b * (1 - low)) / (beta + (1 - beta) * b)
