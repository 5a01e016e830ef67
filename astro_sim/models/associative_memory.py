"""Associative memory of neurons and astrocytes: the macro model's equations, every neuron meeting every other, with a
coupling of the astrocyte processes that is built from patterns.

Process k = post*n + pre is that of the synapse from neuron pre to neuron post.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from astro_sim.model import Connection, Input, Model, Observable, Option, Options, Pairs, Population
from astro_sim.model.option import SCHEME
from astro_sim.model.views import Planned, Recorded
from astro_sim.models.energy_law import Energy, require_symmetric
from astro_sim.models.macro.model import ASSUMED_2026, NEURON, PROCESS, extremes
from astro_sim.parameter import Parameter
from foundation.errors import UserError
from foundation.shapes import Array, Float, Int

SYMMETRIC = 1e-9  # of the largest: a difference between a synapse and its mirror that is rounding

LOGISTIC = "1/(1 + exp((theta_half - x)/theta_width))"
ODD = NEURON.replace(LOGISTIC, "tanh(x/theta_width)")  # patterns of +1 and -1 need a rate that is odd in x

# (E1.8) the neurons' mean over their synapses, in place of the sum of E1.1
DRIVE = "drive_post = g_s_pre*theta_in_pre/N_post : 1 (summed)"

# (E1.9) T_ijkl = T_0/n^2 sum_mu xi_i xi_j xi_k xi_l, as overlap with each pattern and back: 2 K n^2 terms, not n^4
OVERLAP = """
overlap_post = agreement*psi_pre/N_pre : 1 (summed)
agreement : 1 (constant)
"""
COUPLING = """
coupling_post = T_0*agreement*overlap_pre : 1 (summed)
agreement : 1 (constant)
"""

_HERE, _KO = "assumed here", "Kozachkov2025"
UNIT = {
    "tau_n":    Parameter(1.0, "second", "time constant of a neuron's rate: all three alike", _HERE, "assumed"),
    "lambda_n": Parameter(1.0, "1", "decay of a neuron", _KO, "stated"),
    "theta_width": Parameter(0.7, "1", "state at which a neuron's rate is 76 % of its largest", _HERE, "assumed"),
    "tau_s":    Parameter(1.0, "second", "time constant of a synapse", _HERE, "assumed"),
    "beta":     Parameter(1.0, "1", "decay of a synapse", _KO, "stated"),
    "tau_ps":   Parameter(1.0, "second", "time constant of the short-term process", _HERE, "assumed"),
    "gamma_s":  Parameter(1.0, "1", "decay of the short-term process", _KO, "stated"),
    "w_g":      ASSUMED_2026["w_g"],
    "T_0":      Parameter(2.0, "1", "coupling of the processes along a pattern", _HERE, "assumed", "nonnegative"),
    "tau_pl":   ASSUMED_2026["tau_pl"],
    "gamma_l":  ASSUMED_2026["gamma_l"],
    "kappa":    ASSUMED_2026["kappa"],
}  # fmt: skip


class Signs(Option):
    """Patterns of the user's own: rows of + and -, joined by commas, or an array [pattern, neuron] of +1 and -1.

    As an option's value, and in a recording, they are text. Errors: `UserError` for anything else.
    """

    def read(self, name: str, given: str | Sequence[Sequence[float]] | Array) -> str:
        """The option's value, "random" or rows of signs. Errors: `UserError` for anything else."""
        text = given.replace(" ", "") if isinstance(given, str) else _as_text(name, given)
        rows = text.split(",")
        if text != "random" and (not set(text) <= set("+-,") or len({len(row) for row in rows}) > 1 or not rows[0]):
            raise UserError(f"option {name}: '{text[:40]}' is not allowed; give random, or rows of + and - of one "
                            "length, joined by commas, as in ++-+,-++-")
        return text


def _as_text(name: str, given: Sequence[Sequence[float]] | Array) -> str:
    try:
        signs = np.asarray(given, float)
    except (TypeError, ValueError):
        signs = np.empty(0)
    if signs.ndim != 2 or not np.isin(signs, (-1.0, 1.0)).all():
        raise UserError(f"option {name}: not an array [pattern, neuron] of +1 and -1; give a row of signs for each "
                        "pattern")
    return ",".join("".join("+" if sign > 0 else "-" for sign in row) for row in signs)


def _n_patterns(options: Options) -> int:
    """How many there are; raises `UserError` where given patterns and the sizes contradict each other."""
    rows = options["patterns"].split(",")
    if options["patterns"] != "random" and (len(rows), len(rows[0])) != (options["n_patterns"], options["n"]):
        raise UserError(f"patterns: {len(rows)} of {len(rows[0])} signs are given, for {options['n_patterns']} of "
                        f"{options['n']} neurons; set n_patterns={len(rows)} and n={len(rows[0])}")
    return options["n_patterns"]


def patterns(options: Options) -> Float[Array, "pattern neuron"]:
    """The stored patterns, float64 [pattern, neuron] of +1 and -1: the given ones, else drawn from `pattern_seed`."""
    _n_patterns(options)
    if options["patterns"] != "random":
        return np.array([[1.0 if sign == "+" else -1.0 for sign in row] for row in options["patterns"].split(",")])
    signs = np.random.default_rng(options["pattern_seed"]).integers(0, 2, (options["n_patterns"], options["n"]))
    return 2.0 * signs - 1.0


def cue(pattern: int, flipped: int, *, seed: int = 0, **given: object) -> dict[str, list[float]]:
    """Initial values {"x": ...} that show `pattern` with `flipped` signs changed; `given` are the model's options.

    Errors: `UserError` for a pattern that is not stored or more signs than neurons.
    """
    options = MODEL.read_options(given)
    if not 0 <= pattern < options["n_patterns"] or not 0 <= flipped <= options["n"]:
        raise UserError(f"cue: pattern {pattern} with {flipped} signs flipped is not allowed; there are patterns 0 to "
                        f"{options['n_patterns'] - 1} of {options['n']} neurons")
    shown = patterns(options)[pattern]
    shown[np.random.default_rng(seed).permutation(len(shown))[:flipped]] *= -1
    return {"x": (2.0 * shown).tolist()}


def overlaps(recording: Recorded) -> Float[Array, "time pattern"]:
    """How far the neurons' rates agree with each pattern, float64 (time, pattern): 1 is recalled, -1 its opposite."""
    stored = patterns(recording.meta["options"])
    theta = np.tanh(recording["x"].values / recording.parameter("theta_width"))
    return theta @ stored.T / stored.shape[1]


def energy_terms(values: Mapping[str, float], options: Options, *, x: Float[Array, "time neuron"],
                 s: Float[Array, "time process"], p: Float[Array, "time process"], b: Float[Array, "time neuron"],
                 d: Float[Array, "time process"]) -> list[Float[Array, "time _"]]:
    """The parts of the energy, a list of float64 (time, element); their sum cannot rise while b and d are constant.

    values: parameters by name; x, b (time, neuron); s, p, d (time, process). Holds for w_g = 1 and s, p, d that are
    symmetric in the two neurons. Source: Kozachkov2025, generalised.
    """
    n, width = options["n"], values["theta_width"]
    theta, psi, k = np.tanh(x / width), np.tanh(p), np.arange(n * n)
    stored = patterns(options)
    overlap = psi @ (stored[:, k // n] * stored[:, k % n]).T / n**2
    # (E1.5) with each synapse counted half, as it is there for both directions, and n for the mean of E1.8
    return [n * values["lambda_n"] * (x * theta - width * _log_cosh(x / width)), -n * b * theta,
            values["beta"] * s**2 / 4, -s * theta[:, k // n] * theta[:, k % n] / 2, -psi * s / 2,
            values["gamma_s"] * (p * psi - _log_cosh(p)) / 2, -d * psi / 2, -values["T_0"] * n**2 * overlap**2 / 4]


def _log_cosh(values: Float[Array, "*any"]) -> Float[Array, "*any"]:
    return np.logaddexp(values, -values) - math.log(2)


def _energy(plan: Planned, recording: Recorded, *, b: Float[Array, "time neuron"], d: Float[Array, "time process"]
            ) -> list[Float[Array, "time _"]]:
    """The energy's terms where synapses, processes and d are symmetric in the two neurons, and w_g = 1.

    Errors: `UserError` for others, which have no such energy.
    """
    n, (x, s, p) = plan.options["n"], (recording[name].values for name in ("x", "s", "p_s"))
    values, mirror = {name: each.value for name, each in plan.parameters.items()}, np.arange(n * n).reshape(n, n).T

    def symmetric(values: Float[Array, "time process"]) -> bool:
        # what starts symmetric stays so, to rounding; where rounding grows, the law ends with the symmetry
        return np.abs(values - values[:, mirror.ravel()]).max() <= SYMMETRIC * max(1.0, np.abs(values).max())

    require_symmetric(values, "w_g")
    which = plan.inputs["process", "d"].which
    if not (symmetric(s) and symmetric(p) and (which == which[mirror.ravel()]).all()):
        raise UserError("energy: s, p_s or d differs between a synapse and that of the opposite direction; give both "
                        "the same initial values")
    return energy_terms(values, plan.options, x=x, s=s, p=p, b=b, d=d)


def _all_processes(options: Options) -> Int[Array, "process"]:
    return np.arange(options["n"] ** 2)


def _pattern_pairs(options: Options) -> tuple[Int[Array, "pair"], Int[Array, "pair"], dict[str, Array]]:
    """Processes, patterns, and agreement = xi_i xi_j of each pair of them."""
    stored, k = patterns(options), _all_processes(options)
    signs = stored[:, k // options["n"]] * stored[:, k % options["n"]]
    which, process = np.indices(signs.shape)
    return process.ravel(), which.ravel(), {"agreement": signs.ravel()}


def _to_patterns(options: Options) -> Pairs:
    processes, which, constants = _pattern_pairs(options)
    return Pairs(processes, which, constants)


def _from_patterns(options: Options) -> Pairs:
    processes, which, constants = _pattern_pairs(options)
    return Pairs(which, processes, constants)


def limits(plan: Planned) -> dict[str, float]:
    """The largest size that each state can reach: largest drive over decay, or its start."""
    value, start, b, d = extremes(plan)
    s = max(start["s"], 2 / value["beta"])
    driven = value["T_0"] * plan.options["n_patterns"] + value["w_g"] * s + d
    return {"s": s, "p_s": max(start["p_s"], driven / value["gamma_s"]),
            "p_l": max(start["p_l"], value["kappa"] * s / value["gamma_l"]),
            "x": max(start["x"], (s + b) / value["lambda_n"])}


def _observable(name: str, population: str, long_name: str) -> Observable:
    return Observable(population, "1", long_name, lambda plan: -limits(plan)[name], lambda plan: limits(plan)[name])


MODEL = Model(
    name="associative_memory",
    summary="recall of patterns stored in the coupling of astrocyte processes (the macro model's equations)",
    populations=(
        Population("neuron", "rates of +1 to -1, each meeting every other", ODD, size=lambda o: o["n"]),
        Population("process", "synapses with their astrocyte processes, k = post*n + pre", PROCESS,
                   size=lambda o: o["n"] ** 2,
                   labels=lambda o: [f"{k % o['n']} to {k // o['n']}" for k in range(o["n"] ** 2)]),
        Population("pattern", "overlap of the short-term processes with each pattern", "overlap : 1",
                   size=_n_patterns),
    ),
    connections=(
        Connection("incoming", "neuron", "process", "rate of the presynaptic neuron",
                   "theta_in_post = theta_pre : 1 (summed)",
                   lambda o: Pairs(_all_processes(o) % o["n"], _all_processes(o))),
        Connection("outgoing", "neuron", "process", "rate of the postsynaptic neuron",
                   "theta_out_post = theta_pre : 1 (summed)",
                   lambda o: Pairs(_all_processes(o) // o["n"], _all_processes(o))),
        Connection("synaptic_drive", "process", "neuron", "input of a neuron through its synapses", DRIVE,
                   lambda o: Pairs(_all_processes(o), _all_processes(o) // o["n"]), order=1),
        Connection("to_patterns", "process", "pattern", "overlap with each pattern", OVERLAP, _to_patterns),
        Connection("from_patterns", "pattern", "process", "what each pattern gives back", COUPLING, _from_patterns,
                   order=1),
    ),
    parameter_sets={"unit": UNIT},
    initial={"x": Parameter(0.0, "1", "neurons at rest", _HERE, "assumed", "any"),
             "s": Parameter(0.0, "1", "no synaptic strength", _HERE, "assumed", "any"),
             "p_s": Parameter(0.0, "1", "short-term processes at rest", _HERE, "assumed", "any"),
             "p_l": Parameter(0.0, "1", "nothing stored yet", _HERE, "assumed", "any")},
    inputs={"b": Input("neuron", "b", "1", 0.0, "bias of the neurons"),
            "d": Input("process", "d", "1", 0.0, "drive of the short-term processes")},
    observables={"x": _observable("x", "neuron", "state of a neuron"),
                 "s": _observable("s", "process", "strength of a synapse"),
                 "p_s": _observable("p_s", "process", "short-term state of an astrocyte process"),
                 "p_l": _observable("p_l", "process", "long-term state of an astrocyte process")},
    options={"n": Option(16, (2, 1000), "neurons; n^2 synapses with their processes"),
             "n_patterns": Option(3, (1, 1000), "patterns stored"),
             "patterns": Signs("random", ("random", "rows of + and -"), "the patterns: drawn by pattern_seed, or "
                               "yours, as in ++-+,-++-"),
             "pattern_seed": Option(1, (0, 2**31), "seed of the patterns' signs"),
             "coupling_scheme": SCHEME},
    sources=("Kozachkov2025", "Mia2026"),
    not_modelled="learning of the coupling, spikes, delays, noise; p_l does not act back",
    laws=(Energy(_energy).law(),),
)
