"""Long-term plasticity by postsynaptic calcium: each spike raises it, and the efficacy rho moves while it is high.

`graupner_brunel` is deterministic, `graupner_brunel_stochastic` has the noise of the paper; spikes come from protocols:

    simulate("graupner_brunel", "pairing:offset=10 ms,period=1 s,count=60", duration="61 s")

Calcium is exact wherever in a step spikes and the delay D fall, and so is the time above the thresholds: what arrives
inside a step is known when it begins (one spike of a source: a second one is told to the next step). rho without noise
is of second order in dt. With noise the strong order is 1, and between 1/2 and 1 where calcium crosses a threshold
inside a step: the noise of that step is right in size, not in where it falls. The closed form is in pairing_curve.py.
"""

from collections.abc import Callable
from dataclasses import replace

from astro_sim.model import Connection, Model, Observable, Option, Options, Population, SpikeInput, one_to_one
from astro_sim.parameter import Parameter

CALCIUM = """
dc/dt   = -c/tau_Ca : 1      # (E2.8) postsynaptic calcium; spikes add C_pre, after the delay D, and C_post
pre_at  : second             # when presynaptic calcium arrives next, or arrived last
post_at : second
"""

RHO = """
drho/dt = (-rho*(1 - rho)*(rho_star - rho) + gamma_p*(1 - rho)*above_p - gamma_d*rho*above_d)/tau : 1   # (E2.9)
above_p : 1
above_d : 1
"""
# the noise is there while calcium is above a threshold, once for each
NOISE = "/tau + sigma/sqrt(tau)*sqrt(above_p + above_d)*xi : 1"

# What arrives inside a step, at most one spike of a kind, is told before it: it comes after pre_in and post_in, or dt
# where there is none. It cuts the step into three pieces, in each of which calcium only decays.
PIECES = """
pre_in    = dt + (pre_at_pre - t - dt)*int(pre_at_pre > t + 5e-7*dt)                  : second
post_in   = dt + (post_at_pre - t - dt)*int(post_at_pre > t + 5e-7*dt)                : second
pre_first = int(pre_in <= post_in)                                                    : 1
piece_1   = pre_in*pre_first + post_in*(1 - pre_first)                                : second
piece_2   = abs(post_in - pre_in)                                                     : second
piece_3   = dt - piece_1 - piece_2                                                    : second
c_1       = c_pre                                                                     : 1
c_2       = c_1*exp(-piece_1/tau_Ca) + C_pre*pre_first + C_post*(1 - pre_first)       : 1
c_3       = c_2*exp(-piece_2/tau_Ca) + C_post*pre_first + C_pre*(1 - pre_first)       : 1
"""
# (E2.10) The share of the coming step that calcium spends above a threshold, exact. A comparison at the start of the
# step would be wrong by up to a step at every crossing.
SHARE = " + ".join(f"clip(tau_Ca*log(c_{n}/{{theta}})/dt, 0, piece_{n}/dt)" for n in (1, 2, 3))
ABOVE = PIECES + f"""
above_p_post = {SHARE.format(theta="theta_p")} : 1 (summed)
above_d_post = {SHARE.format(theta="theta_d")} : 1 (summed)
"""

# exact at the end of the step: the jump decays from its arrival on
ARRIVED = "c_post += {size}*exp(-since_arrival/tau_Ca)"
COMING = "{side}_at_post = arrival_time"

_GB, _HERE = "GraupnerBrunel2012", "assumed here"
DP = {
    "tau_Ca":   Parameter(20.0,    "msecond", "decay of postsynaptic calcium",                        _GB, "fitted"),
    "C_pre":    Parameter(1.0,     "1",       "calcium of a presynaptic spike",                       _GB, "fitted"),
    "C_post":   Parameter(2.0,     "1",       "calcium of a postsynaptic spike",                      _GB, "fitted"),
    "D":        Parameter(13.7,    "msecond", "delay of presynaptic calcium",                         _GB, "fitted"),
    "theta_d":  Parameter(1.0,     "1",       "calcium above which rho falls",                        _GB, "fitted"),
    "theta_p":  Parameter(1.3,     "1",       "calcium above which rho rises",                        _GB, "fitted"),
    "gamma_d":  Parameter(200.0,   "1",       "rate of depression",                                   _GB, "fitted"),
    "gamma_p":  Parameter(321.808, "1",       "rate of potentiation",                                 _GB, "fitted"),
    "tau":      Parameter(150.0,   "second",  "time constant of the efficacy",                        _GB, "fitted"),
    "rho_star": Parameter(0.5,     "1",       "boundary between the low and the high state",          _GB, "fitted"),
}  # fmt: skip
def _as_measured(*values: float) -> dict[str, Parameter]:
    """Another published set, in the order of DP up to `tau`; thresholds and rho_star are those of all sets."""
    names = ("tau_Ca", "C_pre", "C_post", "D", "gamma_d", "gamma_p", "tau")
    return {**DP, **{name: replace(DP[name], value=value) for name, value in zip(names, values, strict=True)}}


# fitted by the authors to measured plasticity, where DP is one of their examples of a kind of curve
SETS = {
    "DP": DP,
    "hippocampal_slices": _as_measured(48.8373, 1.0, 0.275865, 18.8008, 313.0965, 1645.59, 688.355),
    "hippocampal_cultures": _as_measured(11.9536, 0.58156, 1.76444, 10.0, 61.141, 113.6545, 33.7596),
    "cortical_slices": _as_measured(22.6936, 0.5617539, 1.23964, 4.6098, 331.909, 725.085, 346.3615),
}
SIGMA = {name: {"sigma": Parameter(value, "1", "amplitude of the noise", _GB, "fitted", "nonnegative")}
         for name, value in zip(SETS, (2.8284, 9.1844, 2.5654, 3.3501), strict=True)}


def _calcium(side: str, size: Callable, meaning: str, delay: str | None = None) -> tuple[Connection, Connection]:
    """What a spike of one side adds, and what tells the step before."""
    pairs = one_to_one(size)
    return (Connection(f"{side}_coming", f"{side}synaptic", "spine", f"{meaning}: when it comes", "", pairs,
                       on_pre=COMING.format(side=side), delay=delay),
            Connection(f"{side}_calcium", f"{side}synaptic", "spine", meaning, "", pairs,
                       on_pre=ARRIVED.format(size=f"C_{side}"), delay=delay))


def _model(name: str, summary: str, efficacy: str, sets: dict, bounds: tuple, method: str) -> Model:
    def size(options: Options) -> int:
        return options["n"]

    return Model(
        name=name,
        summary=summary,
        populations=(Population("presynaptic", "sources of presynaptic spikes", "", size),
                     Population("postsynaptic", "sources of postsynaptic spikes", "", size),
                     Population("spine", "calcium of the postsynaptic side", CALCIUM, size, method="exact"),
                     Population("synapse", "efficacy", efficacy, size)),
        connections=(*_calcium("pre", size, "calcium through receptors", delay="D"),
                     *_calcium("post", size, "calcium by the spike that runs back"),
                     Connection("above", "spine", "synapse", "time above the thresholds", ABOVE, one_to_one(size),
                                coupling_order=2)),
        parameter_sets=sets,
        initial={"c": Parameter(0.0, "1", "no calcium", _GB, "stated", "nonnegative"),
                 "rho": Parameter(0.0, "1", "the low state", _GB, "stated", "fraction"),
                 "pre_at": Parameter(-1.0, "second", "no presynaptic calcium came yet", _HERE, "assumed", "any"),
                 "post_at": Parameter(-1.0, "second", "no postsynaptic calcium came yet", _HERE, "assumed", "any")},
        observables={"c": Observable("spine", "1", "postsynaptic calcium", 0.0),
                     "rho": Observable("synapse", "1", "synaptic efficacy", *bounds),
                     "above_p": Observable("synapse", "1", "share of the step above theta_p", 0.0, 1.0),
                     "above_d": Observable("synapse", "1", "share of the step above theta_d", 0.0, 1.0)},
        options={"n": Option(1, (1, 1_000_000), "synapses, each with a pair of sources")},
        sources=("GraupnerBrunel2012",),
        not_modelled="voltage, saturation of calcium, short-term plasticity; an efficacy is not yet a current",
        spike_inputs={"pre": SpikeInput("presynaptic", "presynaptic spikes"),
                      "post": SpikeInput("postsynaptic", "postsynaptic spikes")},
        method=method,
    )


MODEL = _model("graupner_brunel", "calcium-based long-term plasticity (2 ODEs a synapse)", RHO, SETS, (0.0, 1.0), "rk4")
# with noise, rho of a single synapse passes 0 and 1: the paper has no wall there
STOCHASTIC = _model("graupner_brunel_stochastic", "calcium-based long-term plasticity with noise (2 ODEs a synapse)",
                    RHO.replace("/tau : 1", NOISE), {name: SETS[name] | SIGMA[name] for name in SETS}, (None, None),
                    "euler")
