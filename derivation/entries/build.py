"""What all entries are built from: constants with their chains, fits beside them, hashes of simulations."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import sympy

from astro_sim.models import MODELS
from astro_sim.parameter import Parameter
from astro_sim.recording.recording import Recording
from derivation.forms.ode import text_of
from derivation.record import closed_form
from derivation.record.record import Constant, ParameterUse, Simulation
from derivation.reductions.registry import REDUCTIONS
from foundation.errors import choose
from foundation.files import canonical_json, sha256_bytes
from foundation.fitting.least_squares import Fit

WHAT_A_MODEL_IS = ("model", "parameter_set", "equations", "parameters", "options", "initial")


def constant(name: str, form: sympy.Expr, meaning: str, *, own: Mapping[str, Parameter] = MappingProxyType({}),
             model: str = "macro") -> tuple[tuple[ParameterUse, ...], Constant]:
    """The parameters that a constant rests on, with what each does to it, and the constant `name` itself.

    Symbols of `form` are `own` parameters, which are those of `model`; constants that are reduced from a biophysical
    model, which bring that model's parameters along; or parameters of the macro model. Raises `UserError` for another
    symbol, and where the form has no finite value.
    """
    symbols = sorted(form.free_symbols, key=str)
    table = {str(symbol): own.get(str(symbol)) or parameter(str(symbol)) for symbol in symbols}
    at = {symbol: table[str(symbol)].value for symbol in symbols}
    uses = []
    for symbol in symbols:
        key, use = str(symbol), table[str(symbol)]
        of = REDUCTIONS[key].model.partition(":")[0] if key in REDUCTIONS else model if key in own else "macro"
        slope = float(sympy.diff(form, symbol).subs(at))
        uses.append(ParameterUse(key, use.value, use.unit, use.meaning, use.source, use.basis, of, {name: slope}))
    formula = text_of(form)
    value = closed_form.evaluate(formula, {str(symbol): x for symbol, x in at.items()})
    if not math.isclose(value, float(form.subs(at)), rel_tol=1e-12):
        raise AssertionError(f"{formula} as text gives {value}, as sympy {float(form.subs(at))}")
    chains = [through for use in uses if use.name in REDUCTIONS for through in REDUCTIONS[use.name].uses(use)]
    return (*uses, *chains), Constant(value, meaning, formula)


def parameter(name: str) -> Parameter:
    """A constant that is reduced, as the reduction has it and not rounded; else a parameter of the macro model.

    Raises `UserError` for a name that is neither.
    """
    stated = MODELS["macro"].parameters().get(name)
    if name not in REDUCTIONS:
        return stated or choose("parameter of the form", name, REDUCTIONS | MODELS["macro"].parameters())
    reduction = REDUCTIONS[name]
    value = reduction.value(None)
    if stated:
        return replace(stated, value=value, basis="derived")
    return Parameter(value, reduction.unit, reduction.meaning, ", ".join(reduction.sources), "derived")


def with_fit(derived: Constant, best: Fit, name: str) -> Constant:
    """`derived` with what the recording gave for it; an interval without an end is none, and the fit's warnings say so.
    """
    interval = best.intervals[name]
    return replace(derived, fitted=best.values[name],
                   interval=interval if all(map(math.isfinite, interval)) else None)


def simulated(name: str, recording: Recording) -> Simulation:
    """What a recording came from, as hashes that do not depend on the versions of libraries."""
    meta = recording.meta
    return Simulation(name, _hash({key: meta[key] for key in WHAT_A_MODEL_IS}),
                      _hash([meta["protocol"], meta["seed"]]), _hash(meta["solver"]))


def _hash(value) -> str:
    return sha256_bytes(canonical_json(value).encode())
