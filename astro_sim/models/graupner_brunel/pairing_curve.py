"""What Graupner and Brunel's rule does to a synapse under periodic pairs of spikes, in closed form.

`values` are plain numbers in seconds, by the names of the model; take them from a parameter set with `numbers`.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
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
    peaks, decay = peaks_of_calcium(values, offset, period), values["tau_Ca"]

    # (E2.10) calcium decays from each peak until the next jump
    def share(threshold: float) -> float:
        return sum(_time_above(peak, length, threshold, decay) for peak, length in peaks) / period

    return share(values["theta_p"]), share(values["theta_d"])


def peaks_of_calcium(values: Mapping[str, float], offset: float, period: float) -> tuple[tuple[float, float], ...]:
    """(calcium just after a jump, time until the next jump in s) of the presynaptic jump and of the postsynaptic one.

    Errors: `UserError` for a period that is not above zero.
    """
    if period <= 0:
        raise UserError(f"period: {period} s is not allowed; it must be above zero")
    decay = values["tau_Ca"]
    gap = (offset - values["D"]) % period  # from the presynaptic jump to the postsynaptic one
    left = 1 - exp(-period / decay)
    pre, post = values["C_pre"], values["C_post"]
    return (((pre + post * exp(-(period - gap) / decay)) / left, gap),
            ((post + pre * exp(-gap / decay)) / left, period - gap))


def _time_above(peak: float, length: float, threshold: float, decay: float) -> float:
    return min(length, decay * log(peak / threshold)) if peak > threshold else 0.0


def mean_rate(values: Mapping[str, float], offset: float, period: float) -> float:
    """gamma_p alpha_p + gamma_d alpha_d: how fast, in units of 1/tau, pairs carry rho to its mean; no unit."""
    high, low = fractions_above(values, offset, period)
    return values["gamma_p"] * high + values["gamma_d"] * low


def transitions(values: Mapping[str, float], offset: float, period: float, count: int) -> tuple[float, float]:
    """(up, down): the probabilities to be above rho_star from 0, and below it from 1, after `count` pairs.

    Neglects the cubic term (small against the rates while spikes come) and takes the mean of drift and noise over a
    pair, as if both thresholds were passed all the time a little; `exact_transitions` does not. Without noise a
    probability is 0 or 1. Source: GraupnerBrunel2012, supplement.
    """
    high, low = fractions_above(values, offset, period)
    rise, rate = values["gamma_p"] * high, mean_rate(values, offset, period)
    if rate == 0:
        return 0.0, 0.0
    left = exp(-count * period * rate / values["tau"])
    # an Ornstein-Uhlenbeck process: mean and spread of rho after the pairs
    spread = values["sigma"] * sqrt((high + low) / (2 * rate) * (1 - left**2))

    up, high = (rise / rate + (start - rise / rate) * left for start in (0.0, 1.0))
    return _above(values, up, spread), 1 - _above(values, high, spread)


def exact_transitions(values: Mapping[str, float], offset: float, period: float, count: int) -> tuple[float, float]:
    """(up, down) as `transitions`, with drift and noise when they act: first both, then depression alone, then none.

    A pair ends in depression, so that fewer synapses end above rho_star than the mean over the pair would leave there:
    by .006 at 60 pairs, +10 ms, 1 Hz. Neglects the cubic term alone: .003 there.
    """
    (up, variance), (high, _) = (moments(values, offset, period, count, start) for start in (0.0, 1.0))
    return _above(values, up, sqrt(variance)), 1 - _above(values, high, sqrt(variance))


def moments(values: Mapping[str, float], offset: float, period: float, count: int, start: float) -> tuple[float, float]:
    """Mean and variance of rho after `count` pairs from `start`, exact but for the cubic term; no unit."""
    mean, variance = start, 0.0
    for _ in range(count):
        for length, above_p, above_d in _phases(values, offset, period):
            rate = (values["gamma_p"] * above_p + values["gamma_d"] * above_d) / values["tau"]
            if rate > 0:
                # (E2.40) an Ornstein-Uhlenbeck process with constant coefficients, from each crossing to the next
                end = values["gamma_p"] * above_p / (values["tau"] * rate)
                left = exp(-rate * length)
                noise = values["sigma"] ** 2 / values["tau"] * (above_p + above_d)
                mean = end + (mean - end) * left
                variance = variance * left**2 + noise * (1 - left**2) / (2 * rate)
    return mean, variance


def _phases(values: Mapping[str, float], offset: float, period: float) -> list[tuple[float, bool, bool]]:
    """A period in pieces: (length in s, calcium above theta_p, above theta_d), from the presynaptic jump on."""
    found = []
    for peak, length in peaks_of_calcium(values, offset, period):
        ends = [_time_above(peak, length, values[name], values["tau_Ca"]) for name in ("theta_p", "theta_d")]
        corners = sorted({0.0, *ends, length})
        found += [(b - a, a < ends[0], a < ends[1]) for a, b in pairwise(corners)]
    return found


def _above(values: Mapping[str, float], mean: float, spread: float) -> float:
    """The probability of a normal variable to be above rho_star."""
    distance = mean - values["rho_star"]
    return float(distance > 0) if spread == 0 else (1 + erf(distance / (sqrt(2) * spread))) / 2


def change_of_strength(values: Mapping[str, float], offset: float, period: float, count: int, b: float = 5.0,
                       beta: float = 0.5, *, by: Callable = transitions) -> float:
    """Mean synaptic strength after `count` pairs over that before; no unit.

    by: `transitions`, as the paper has it, or `exact_transitions`. b: strength of the high state over that of the low
    one; beta: share of synapses in the low state before. Once the pairs are over every synapse falls to the state on
    whose side of rho_star it is. Source: GraupnerBrunel2012.
    """
    up, down = by(values, offset, period, count)
    # (E2.11) low and high states before and after
    low = beta * (1 - up) + (1 - beta) * down
    return (low + b * (1 - low)) / (beta + (1 - beta) * b)
