"""The macro model: two layers of neurons, a synapse between each pair, an astrocyte process at each synapse.

Process k = post*n_pre + pre holds its synapse's strength s and the short-term (p_s) and long-term (p_l) state.
Order of coupling: sums over connections are taken at the middle of a step (see astro_sim/brian/coupling.py), so
the model is of second order in dt whatever the integrator; with coupling_scheme = held they are those of its start:
first order.
"""


import numpy as np

from astro_sim.model import Connection, Input, Model, Observable, Option, Population
from astro_sim.model.option import SCHEME
from astro_sim.model.views import Planned, Recorded
from astro_sim.models.energy_law import Energy, require_symmetric
from astro_sim.models.macro.energy import energy_terms
from astro_sim.models.macro.pairs import (
    FFT_ABOVE,
    all_pairs,
    drive_pairs,
    falling,
    grid_shape,
    neighbours,
    postsynaptic_pairs,
    presynaptic_pairs,
    process_places,
    processes,
)
from astro_sim.parameter import Parameter
from foundation.shapes import Array, Float

NEURON = """
dx/dt = (-lambda_n*x + drive + b)/tau_n : 1    # (E1.1) a neuron; drive = sum_j g(s_ij) theta(x_j)
theta = 1/(1 + exp((theta_half - x)/theta_width)) : 1
drive : 1
"""

PROCESS = """
ds/dt = (-beta*s + theta_in*theta_out + psi)/tau_s : 1            # (E1.2) a synapse
dp_s/dt = (-gamma_s*p_s + coupling + w_g*g_s + d)/tau_ps : 1      # (E1.3) short-term process
dp_l/dt = (-gamma_l*p_l + kappa*s)/tau_pl : 1                     # (E1.4) long-term process: read, never acting back
g_s = s : 1
psi = tanh(p_s) : 1
theta_in : 1
theta_out : 1
coupling : 1
"""

# (E1.1) sum_j g(s_ij) theta(x_j); the synapse acts back on its presynaptic neuron with the weight w_back
DRIVE = """
drive_post = g_s_pre*(forward*theta_in_pre + (1 - forward)*w_back*theta_out_pre) : 1 (summed)
forward : 1 (constant)
"""

# (E1.6) T_ijkl = a exp(-distance/ell), set once; what spreads on a sheet has more places to go to than on a line
DENSE = """
coupling_post = T*psi_pre : 1 (summed)
T : 1 (constant)
distance : 1 (constant)
"""
FALLING, FALLING_ON_SHEET = "a*exp(-distance/ell)", "a_sheet*exp(-distance/ell_sheet)"

DIFFUSIVE = """
coupling_post = D*(psi_pre - psi_post) : 1 (summed)   # (E1.7) gap junctions between neighbours
"""

_HERE = "assumed here"
ASSUMED_2026 = {
    "tau_n":    Parameter(0.1,   "second", "time constant of a neuron's rate", _HERE, "assumed"),
    "lambda_n": Parameter(1.0,   "1", "decay of a neuron", _HERE, "assumed"),
    "theta_half":  Parameter(0.5, "1", "state at which a neuron is half active: at rest it is silent", _HERE,
                             "assumed"),
    "theta_width": Parameter(0.1, "1", "width of that threshold", _HERE, "assumed"),
    "tau_s":    Parameter(2.0,   "second", "time constant of a synapse", _HERE, "assumed"),
    "beta":     Parameter(4.0,   "1", "decay of a synapse; beta/tau_s = Omega_d = 2/s, recovery of release",
                          "Stimberg2019", "fitted"),
    "tau_ps":   Parameter(0.5,   "second", "time constant of the short-term process: Mia2026 has it act over seconds",
                          _HERE, "assumed"),
    "gamma_s":  Parameter(1.0,   "1", "decay of the short-term process", _HERE, "assumed"),
    "w_g":      Parameter(1.0,   "1", "weight of the synapse on its short-term process (0: without)", "Kozachkov2025",
                          "stated", "nonnegative"),
    "w_back":   Parameter(0.0,   "1", "weight of a synapse on its presynaptic neuron (0: feed-forward, 1: symmetric)",
                          _HERE, "assumed", "nonnegative"),
    "a":        Parameter(0.05,  "1", "dense coupling of processes at distance 0", _HERE, "assumed", "nonnegative"),
    "ell":      Parameter(4.0,   "1", "length of the dense coupling, in places", _HERE, "assumed"),
    "a_sheet":  Parameter(0.05,  "1", "dense coupling at distance 0 where the layout is no line", _HERE, "assumed",
                          "nonnegative"),
    "ell_sheet": Parameter(4.0,  "1", "length of the dense coupling where the layout is no line, in places", _HERE,
                           "assumed"),
    "D":        Parameter(25.7945, "1", "diffusive coupling of neighbours; with gamma_s = 1 its response falls with "
                          "distance as that of the dense coupling a = 0.05, ell = 4 does", _HERE, "assumed",
                          "nonnegative"),
    "tau_pl":   Parameter(150.0, "second", "time constant of the long-term process", "GraupnerBrunel2012", "fitted"),
    "gamma_l":  Parameter(5.23035, "1", "decay of the long-term process: mean rate gamma_p*alpha_p + gamma_d*alpha_d "
                          "when half of a cycle has pairs at 1 Hz, +10 ms (pairing_curve.mean_rate)",
                          "GraupnerBrunel2012", "derived"),
    "kappa":    Parameter(1.0,   "1", "gain of the synapse on the long-term process", _HERE, "assumed", "nonnegative"),
}  # fmt: skip


def _derived(value: float, unit: str, meaning: str, source: str, allowed: str = "positive") -> Parameter:
    return Parameter(value, unit, meaning, source, "derived", allowed)


_DP, _ST, _GB = "DePitta2009", "Stimberg2019", "GraupnerBrunel2012"
# what `python -m derivation reduce` computes; p_s is calcium above its rest, p_l the efficacy of a synapse
REDUCED_2026 = {
    **ASSUMED_2026,
    "theta_half":  _derived(0.53225560, "1", "logarithm of a neuron's rate, from rest (0) to driven (1), at which its "
                            "synapses release half of their largest per second", _ST),
    "theta_width": _derived(0.14356713, "1", "width of that threshold", _ST),
    "tau_s":    _derived(2.0, "second", "time constant of a synapse: tau_s/beta = 1/Omega_d, recovery of release", _ST),
    "beta":     Parameter(4.0, "1", "decay of a synapse: 1/beta is its strength when both neurons are active", _HERE,
                          "assumed"),
    "tau_ps":   _derived(0.25572944, "second", "time constant of the short-term process: calcium is taken up", _DP),
    "gamma_s":  Parameter(1.0, "1", "decay of the short-term process: 1 by convention", _HERE, "assumed"),
    "a":        _derived(0.20578462, "1", "dense coupling of processes on a line at distance 0: calcium that calcium "
                         "causes through IP3", _DP, "nonnegative"),
    "ell":      _derived(1.4621143, "1", "length of the dense coupling, in places: that of IP3 on a line", _DP),
    "a_sheet":  _derived(0.075315449, "1", "dense coupling of processes on a sheet at distance 0, nearest exponential",
                         _DP, "nonnegative"),
    "ell_sheet": _derived(1.0373129, "1", "length of the dense coupling on a sheet, nearest exponential", _DP),
    "D":        _derived(4.2695466, "1", "diffusive coupling of neighbours: IP3 exchanged over IP3 lost", _DP,
                         "nonnegative"),
    "tau_pl":   _derived(150.0, "second", "time constant of the long-term process", _GB),
    "kappa":    _derived(23.216305, "1", "gain of the synapse on the long-term process: p_l is the efficacy of "
                         "Graupner and Brunel's rule", _GB, "nonnegative"),
}  # fmt: skip


def extremes(plan: Planned) -> tuple[dict[str, float], dict[str, float], float, float]:
    """Parameter values, the largest start of each state, and the largest inputs b and d of a plan."""
    value = {name: parameter.value for name, parameter in plan.parameters.items()}
    start = {name: float(np.max(np.abs(given if isinstance(given, tuple) else given.value)))
             for name, given in plan.initial.items()}
    b, d = (float(np.abs(plan.inputs[which].means(plan.edges)).max()) for which in (("neuron", "b"), ("process", "d")))
    return value, start, b, d


def limits(plan: Planned) -> dict[str, float]:
    """The largest size that each state can reach from its start under its inputs: largest drive over decay."""
    value, start, b, d = extremes(plan)
    # theta^2 and psi are at most 1; diffusion cannot raise the largest p_s
    s = max(start["s"], 2 / value["beta"])
    size = falling(value, plan.options)[0] if plan.options["coupling"] == "dense" else 0.0
    coupled = size * (processes(plan.options) - 1)
    fan = max(plan.options["n_pre"], value["w_back"] * plan.options["n_post"])
    return {"s": s, "p_s": max(start["p_s"], (coupled + value["w_g"] * s + d) / value["gamma_s"]),
            "p_l": max(start["p_l"], value["kappa"] * s / value["gamma_l"]),
            "x": max(start["x"], (fan * s + b) / value["lambda_n"])}


def _energy(plan: Planned, recording: Recorded, *, b: Float[Array, "time neuron"], d: Float[Array, "time process"]
            ) -> list[Float[Array, "time _"]]:
    """The energy's terms where synapses act both ways, w_back = w_g = 1; a feed-forward network (w_back = 0, the
    published one) has none. Errors: `UserError` for such.
    """
    values = {name: parameter.value for name, parameter in plan.parameters.items()}
    require_symmetric(values, "w_back", "w_g")
    x, s, p = (recording[name].values for name in ("x", "s", "p_s"))
    return energy_terms(values, plan.options, x=x, s=s, p=p, b=b, d=d)


def _observable(name: str, population: str, long_name: str) -> Observable:
    return Observable(population, "1", long_name, lambda plan: -limits(plan)[name], lambda plan: limits(plan)[name])


MODEL = Model(
    name="macro",
    summary="neurons, synapses and astrocyte processes with short- and long-term states",
    populations=(
        Population("neuron", "firing rates: n_pre presynaptic, then n_post postsynaptic neurons", NEURON,
                   size=lambda o: o["n_pre"] + o["n_post"],
                   labels=lambda o: [f"{side} {i}" for side in ("pre", "post") for i in range(o[f"n_{side}"])]),
        Population("process", "synapses with their astrocyte processes, k = post*n_pre + pre", PROCESS, size=processes,
                   labels=lambda o: [f"pre {k % o['n_pre']} to post {k // o['n_pre']}" for k in range(processes(o))],
                   positions=process_places),
    ),
    connections=(
        Connection("incoming", "neuron", "process", "rate of the presynaptic neuron",
                   "theta_in_post = theta_pre : 1 (summed)", presynaptic_pairs),
        Connection("outgoing", "neuron", "process", "rate of the postsynaptic neuron",
                   "theta_out_post = theta_pre : 1 (summed)", postsynaptic_pairs),
        Connection("synaptic_drive", "process", "neuron", "input of a neuron through its synapses", DRIVE, drive_pairs,
                   order=1),
        Connection("dense_coupling", "process", "process", "each process with every other", DENSE, all_pairs,
                   fixed={"T": FALLING}, when={"coupling": ("dense",), "layout": ("line",)}, grid=grid_shape),
        Connection("dense_coupling_sheet", "process", "process", "each process with every other", DENSE, all_pairs,
                   fixed={"T": FALLING_ON_SHEET}, when={"coupling": ("dense",), "layout": ("grid", "equal")},
                   grid=grid_shape),
        Connection("diffusive_coupling", "process", "process", "each process with its neighbours", DIFFUSIVE,
                   neighbours, when={"coupling": ("diffusive",)}),
    ),
    parameter_sets={"reduced_2026": REDUCED_2026, "assumed_2026": ASSUMED_2026},
    initial={"x": Parameter(0.0, "1", "neurons at rest", _HERE, "assumed", "any"),
             "s": Parameter(0.0, "1", "no synaptic strength", _HERE, "assumed", "any"),
             "p_s": Parameter(0.0, "1", "short-term processes at rest", _HERE, "assumed", "any"),
             "p_l": Parameter(0.0, "1", "nothing stored yet", _HERE, "assumed", "any")},
    inputs={"b_pre": Input("neuron", "b", "1", 0.0, "bias of the presynaptic neurons", lambda o: range(o["n_pre"])),
            "b_post": Input("neuron", "b", "1", 0.0, "bias of the postsynaptic neurons",
                            lambda o: range(o["n_pre"], o["n_pre"] + o["n_post"])),
            "d": Input("process", "d", "1", 0.0, "drive of the short-term processes")},
    observables={"x": _observable("x", "neuron", "state of a neuron"),
                 "s": _observable("s", "process", "strength of a synapse"),
                 "p_s": _observable("p_s", "process", "short-term state of an astrocyte process"),
                 "p_l": _observable("p_l", "process", "long-term state of an astrocyte process")},
    options={"n_pre": Option(3, (1, 10_000), "presynaptic neurons"),
             "n_post": Option(3, (1, 10_000), "postsynaptic neurons"),
             "coupling": Option("dense", ("dense", "diffusive", "none"), "how processes act on each other"),
             "layout": Option("grid", ("grid", "line", "equal"), "where the processes are, hence their distances"),
             "dense_sum": Option("auto", ("auto", "pairs", "fft"), "dense coupling pair by pair, or by FFT on a grid "
                                 f"or line, equal to rounding; auto: by FFT above {FFT_ABOVE} processes"),
             "coupling_scheme": SCHEME},
    sources=("Mia2026", "Kozachkov2025", "GraupnerBrunel2012", "Stimberg2019", "DePitta2009"),
    not_modelled="spikes, transmission delays, noise, calcium inside a process; p_l does not act back",
    laws=(Energy(_energy).law(),),
)
