"""The derivation from end to end: simulate, take the dimensions away, solve, fit, and write the record."""

import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from types import MappingProxyType

import numpy as np
import sympy

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from astro_sim.recording import Recording
from derivation import closed_form, record
from derivation.fit import Fit, fit
from derivation.forms import relative_position, retention
from derivation.nondimensional import cycle_shares, steady_response
from derivation.ode import text_of
from derivation.record import Constant, Entry, Evidence, ParameterUse, Record
from derivation.reduce import REDUCTIONS, gamma_l
from derivation.simulations import (
    CALCIUM_SET,
    IP3,
    NUM_CYCLES,
    PLACES,
    CalciumCycle,
    calcium_cycle,
    driven_cycles,
    driven_line,
)

FITTED_PLACES = 30  # beyond, the response is so small that what has not settled yet shows


@dataclass(frozen=True)
class Derivation:
    """The record, and the recordings that it was held against, by name."""

    record: Record
    recordings: Mapping[str, Recording]


def derive(report: Callable[[str], None] = lambda text: None) -> Derivation:
    """Derive the whole record from nothing; `report` is told what is being done. Deterministic for equal versions."""
    report("calcium oscillation")
    cycle = calcium_cycle()
    report("driven cycles")
    cycles = driven_cycles(cycle.seconds, gamma_l())
    entries = {"retention": retention_entry(cycle, cycles)}
    lines = {}
    for coupling, name in (("dense", "relative_position"), ("diffusive", "relative_position_diffusive")):
        report(f"line of processes, {coupling} coupling")
        lines[coupling] = driven_line(coupling)
        entries[name] = position_entry(coupling, lines[coupling])
    entries |= stated_entries()
    packages = ("brian2", "numpy", "scipy", "sympy")
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    return Derivation(record.make(entries, versions), {"calcium": cycle.recording, "cycles": cycles} | lines)


def retention_entry(cycle: CalciumCycle, cycles: Recording) -> Entry:
    """The retention factor from the long-term process, and how the recorded cycles follow it."""
    form = retention.derive(MODELS["macro"].population("process").equations)
    period = Parameter(cycle.seconds, "second", "calcium oscillation period: one cycle, one segment",
                       "LiRinzel1994, DePitta2009", "derived")
    uses, constant = _constant("q", form.q_of_parameters, "what a cycle leaves of the long-term state",
                               {"tau_cycle": period})
    shares = cycle_shares(cycles, cycle.seconds, NUM_CYCLES).shares
    segment = np.arange(1.0, NUM_CYCLES + 1)
    formula = text_of(form.share)
    found = fit(formula, {"t": segment, "T": float(NUM_CYCLES)}, shares, {"q": constant.value})
    closed = [closed_form.evaluate(formula, {"q": constant.value, "t": t, "T": NUM_CYCLES}) for t in segment]
    return Entry(
        meaning="share of the capacity that segment t of T writes",
        equation="E4.2",
        formula=formula,
        arguments={"t": "segment, 1 to T", "T": "number of segments"},
        constants={"q": _with_fit(constant, found, "q")},
        basis="derived",
        sources=("Mia2026", "GraupnerBrunel2012", "LiRinzel1994"),
        parameters=uses,
        cancels=dict.fromkeys(sorted(form.cancelled), "cancels exactly: every cycle writes the same amount"),
        evidence=Evidence(
            compared=f"increments of p_l over {NUM_CYCLES} driven cycles of the macro model, as shares of their sum",
            max_error=float(np.abs(shares - closed).max()), error_unit="1",
            range=f"t = 1..{NUM_CYCLES} of T = {NUM_CYCLES}; calcium set {CALCIUM_SET} at ip3 = {IP3}",
            recording=cycles.hash,
            neglected="the synapse's transient in the first cycle"))


def position_entry(coupling: str, line: Recording) -> Entry:
    """The position kernel from the short-term processes, and how the recorded response follows it."""
    form = relative_position.derive(coupling)
    uses, constant = _constant("scale", form.scale, "inverse length of the response; one token is one place")
    measured = steady_response(line, PLACES // 2)
    near = (measured.distance >= 1) & (measured.distance <= FITTED_PLACES)
    distance, response = measured.distance[near].astype(np.float64), measured.response[near]
    found = fit("c*exp(-scale*distance)", {"distance": distance}, response, {"c": 0.5, "scale": constant.value})
    closed = found.values["c"] * np.exp(-constant.value * distance)
    return Entry(
        meaning=f"coupling of two astrocyte processes at a distance, {coupling} coupling",
        equation="E4.5",
        formula="exp(-scale*distance)",
        arguments={"distance": "places between two processes"},
        constants={"scale": _with_fit(constant, found, "scale")},
        basis="derived",
        sources=("Mia2026", "Kozachkov2025"),
        parameters=uses,
        cancels={"d": "the size of the drive: the response is linear", "tau_ps": "a steady state has no time constant"},
        evidence=Evidence(
            compared=f"steady p_s on a line of {PLACES} processes, one of them driven, over that one's",
            max_error=float(np.abs(response - closed).max()), error_unit="1",
            range=f"1 to {FITTED_PLACES} places; stable while {text_of(form.margin)} > 0",
            recording=line.hash,
            neglected="saturation of psi, the ends of the line, the delta at the driven process"))


def stated_entries() -> dict[str, Entry]:
    """What the network takes from the papers as they state it; no simulation stands behind these numbers yet."""
    return {
        "calcium_response": Entry(
            meaning="calcium that the summed keys cause", equation="E5.3", formula="drive**exponent",
            arguments={"drive": "sum of the feature-mapped keys"},
            constants={"exponent": Constant(1.0, "1 is linear attention's normaliser; Mia2025 has 0.25")},
            basis="stated", sources=("Mia2026", "Mia2025"), parameters=(), cancels={}, evidence=None),
        "feedback": Entry(
            meaning="presynaptic feedback of the calcium response", equation="E4.6", formula="1/calcium",
            arguments={"calcium": "calcium response, one number a query"}, constants={},
            basis="stated", sources=("Mia2026",), parameters=(), cancels={}, evidence=None),
    }


def _constant(name: str, form: sympy.Expr, meaning: str,
              own: Mapping[str, Parameter] = MappingProxyType({})) -> tuple[tuple[ParameterUse, ...], Constant]:
    """A constant, and the parameters that it rests on with what each does to it.

    Symbols are parameters of the macro model, or `own` ones. Those that are reduced from a biophysical model bring its
    parameters along.
    """
    symbols = sorted(form.free_symbols, key=str)
    table = {str(symbol): own.get(str(symbol)) or _macro_parameter(str(symbol)) for symbol in symbols}
    at = {symbol: table[str(symbol)].value for symbol in symbols}
    uses = []
    for key, parameter in table.items():
        model = REDUCTIONS[key].model.partition(":")[0] if key in REDUCTIONS else "macro"
        slope = float(sympy.diff(form, sympy.Symbol(key)).subs(at))
        uses.append(ParameterUse(key, parameter.value, parameter.unit, parameter.meaning, parameter.source,
                                 parameter.basis, model, {name: slope}))
    formula = text_of(form)
    value = closed_form.evaluate(formula, {str(symbol): x for symbol, x in at.items()})
    if not math.isclose(value, float(form.subs(at)), rel_tol=1e-12):
        raise AssertionError(f"{formula} as text gives {value}, as sympy {float(form.subs(at))}")
    chains = [through for use in uses if use.name in REDUCTIONS for through in REDUCTIONS[use.name].uses(use)]
    return (*uses, *chains), Constant(value, meaning, formula)


def _macro_parameter(name: str) -> Parameter:
    """A parameter of the macro model; one that is reduced, as the reduction has it and not rounded."""
    stated = MODELS["macro"].parameters()[name]
    return replace(stated, value=REDUCTIONS[name].value(None), basis="derived") if name in REDUCTIONS else stated


def _with_fit(constant: Constant, found: Fit, name: str) -> Constant:
    return Constant(constant.value, constant.meaning, constant.formula, found.values[name], found.intervals[name])
