"""The synapse between spikes and a neuron's rate: tau_s, theta_half and theta_width from short-term plasticity."""

from functools import cache
from math import exp, log, sqrt

import numpy as np

from astro_sim.models import MODELS
from astro_sim.models.tripartite import release
from astro_sim.parameter import Parameter
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

MODEL, SET = "tripartite", "release_decreasing"
PROTOCOL = {"rate_rest": assumed(0.1, "hertz", "rate of a neuron at rest: x = 0"),
            "rate_driven": assumed(50.0, "hertz", "rate of a driven neuron: x = 1")}
BETA = MODELS["macro"].parameters()["beta"]
SEARCHED = (0.01, 1000.0)  # hertz
TRAINS, SPIKES, SETTLED = 400, 300, 100  # Poisson trains of the full model, and what is left out as transient


def recovery_parameters() -> dict[str, Parameter]:
    """Parameters that recovery depends on, by name."""
    return {"Omega_d": MODELS[MODEL].parameters(SET)["Omega_d"], "beta": BETA}


def tau_s(changes: Changes = None) -> float:
    """Time constant of a synapse in seconds: released resources recover at Omega_d, and s decays at beta/tau_s."""
    given = values(recovery_parameters(), changes)
    # (E3.2) tau_s = beta/Omega_d
    return given["beta"] / given["Omega_d"]


def recovery(time, rate: float, *, U_0: float, Omega_f: float, Omega_d: float):
    """(full, reduced): what a test spike `time` seconds [n] after a long regular train releases, over that at rest.

    Full: E2.12, E2.13 with the facilitation that the train left. Reduced: the missing share decays at Omega_d.
    """
    u, x, _ = release.regular_train(U_0, rate, Omega_f, Omega_d)
    use = 1 + (1 - U_0) / U_0 * u * np.exp(-Omega_f * time)
    full = use * (1 - (1 - x * (1 - u)) * np.exp(-Omega_d * time))
    return full, 1 - (1 - full[0]) * np.exp(-Omega_d * time)


def plasticity() -> dict[str, float]:
    """U_0 without gliotransmitter, Omega_f and Omega_d (1/second)."""
    table = MODELS[MODEL].parameters(SET)
    return {"U_0": table["U_0_star"].value, **{name: table[name].value for name in ("Omega_f", "Omega_d")}}


@cache
def tau_s_held() -> Held:
    """One time constant of recovery against both of the full synapse."""
    time, numbers = np.linspace(0, 4, 801), plasticity()

    def error(rate: float) -> float:
        full, reduced = recovery(time, rate, **numbers)
        return float(np.abs(full - reduced).max())

    U_0, Omega_f, Omega_d = numbers.values()
    lost, gained, both = U_0, 1 - U_0, U_0 * (1 - U_0)
    area = (lost / Omega_d - gained / Omega_f + both / (Omega_d + Omega_f)) / (lost - gained + both)
    return Held(error(0.01), "release of a second spike over the first's, at all intervals",
                Valid("rate of a regular train before the pause", "hertz", low=0.0, high=reach(error, 0.01, 200.0)),
                {"by the area under the recovery of the second spike": BETA.value * area})


# ---------------------------------------------------------------------------------------------- theta


def rate_parameters() -> dict[str, Parameter]:
    """Parameters that release against rate depends on, by name."""
    table = MODELS[MODEL].parameters(SET)
    return {name: table[name] for name in ("U_0_star", "Omega_f", "Omega_d")} | PROTOCOL


def _half(given: dict[str, float]) -> float:
    """Rate at which release reaches half of its largest: u rate = Omega_d, a quadratic with E2.18 for u."""
    less = given["Omega_f"] - given["Omega_d"]
    return (sqrt(less**2 + 4 * given["Omega_d"] * given["Omega_f"] / given["U_0_star"]) - less) / 2


def theta_half(changes: Changes = None) -> float:
    """State x at which a neuron's effect is half of its largest; x is the logarithm of its rate, 0 at rest, 1 driven.

    Release per second over its largest, u rate/(Omega_d + u rate), is a logistic function of the logarithm of the rate
    wherever u is constant.
    """
    given = values(rate_parameters(), changes)
    # (E3.3) theta_half = ln(rate_half/rate_rest)/ln(rate_driven/rate_rest), u(rate_half) rate_half = Omega_d
    return log(_half(given) / given["rate_rest"]) / log(given["rate_driven"] / given["rate_rest"])


def theta_width(changes: Changes = None) -> float:
    """Width of the logistic function with the slope that release has at its half; u still rises with the rate there."""
    given = values(rate_parameters(), changes)
    rate = _half(given)
    rises = rate / (given["Omega_f"] + rate) - given["U_0_star"] * rate / (given["Omega_f"] + given["U_0_star"] * rate)
    # (E3.4) theta_width = 1/((1 + dln u/dln rate) ln(rate_driven/rate_rest)) at rate_half
    return 1 / ((1 + rises) * log(given["rate_driven"] / given["rate_rest"]))


def theta(rate: float) -> float:
    """The reduced rate curve at a rate in hertz."""
    given = values(rate_parameters(), None)
    x = log(rate / given["rate_rest"]) / log(given["rate_driven"] / given["rate_rest"])
    return 1 / (1 + exp((theta_half() - x) / theta_width()))


@cache
def poisson_output(rate: float) -> float:
    """The full model: mean release per second of synapses under Poisson trains, over Omega_d, the largest."""
    U_0, Omega_f, Omega_d = plasticity().values()
    pauses = np.random.default_rng(1).exponential(1 / rate, (SPIKES, TRAINS))
    u, x, released = np.zeros(TRAINS), np.ones(TRAINS), 0.0
    for n, pause in enumerate(pauses):
        u, x = u * np.exp(-Omega_f * pause), 1 - (1 - x) * np.exp(-Omega_d * pause)
        u += U_0 * (1 - u)
        r = u * x
        x -= r
        released += r.mean() if n >= SETTLED else 0.0
    return float(released) / (SPIKES - SETTLED) * rate / Omega_d


@cache
def theta_held() -> Held:
    """The threshold curve against release under Poisson trains."""

    def error(rate: float) -> float:
        return abs(theta(rate) - poisson_output(rate))

    low, high = (PROTOCOL[name].value for name in ("rate_rest", "rate_driven"))
    worst = max(error(float(rate)) for rate in np.geomspace(low, high, 17))
    middle = _half(values(rate_parameters(), None))
    slowest, fastest = (reach(error, middle, end) for end in SEARCHED)
    return Held(worst, "release per second over its largest, Poisson trains from rest to driven",
                Valid("rate of a Poisson train", "hertz", low=slowest, high=fastest,
                      note=f"searched from {SEARCHED[0]:g} to {SEARCHED[1]:g} hertz"))


REDUCTIONS = {
    "tau_s": Reduction(
        value=tau_s,
        parameters=recovery_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="second",
        meaning="time constant of a synapse",
        equation="E3.2",
        protocol="a second spike after a pause of any length, no gliotransmitter",
        neglected="facilitation (Omega_f), and that spikes in between take resources",
        held=tau_s_held),
    "theta_half": Reduction(
        value=theta_half,
        parameters=rate_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="1",
        meaning="state at which a neuron's effect is half of its largest",
        equation="E3.3",
        protocol=f"release per second under Poisson trains, from {PROTOCOL['rate_rest'].value:g} hertz (rest) to "
                 f"{PROTOCOL['rate_driven'].value:g} hertz (driven)",
        neglected="that use and resources are correlated in a Poisson train; no membrane: x is the logarithm of the "
                  "rate",
        held=theta_held),
    "theta_width": Reduction(
        value=theta_width,
        parameters=rate_parameters,
        model=f"{MODEL}:{SET}",
        relative_step=CLOSED_FORM_STEP,
        unit="1",
        meaning="width of that threshold",
        equation="E3.4",
        protocol="as theta_half",
        neglected="as theta_half; that use rises with the rate beside the half",
        held=theta_held),
}
