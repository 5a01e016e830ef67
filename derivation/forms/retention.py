"""The retention factor: from the long-term process's ODE to each segment's share of the capacity."""

from dataclasses import dataclass
from functools import cache

import sympy

from derivation.forms.ode import right_side
from foundation.errors import UserError

q, t, T, tau_cycle = sympy.symbols("q t T tau_cycle", positive=True)


@dataclass(frozen=True)
class Retention:
    """`q_of_parameters` in the model's parameters and tau_cycle; `share` in q, t and T (all dimensionless)."""

    q_of_parameters: sympy.Expr
    share: sympy.Expr
    cancelled: frozenset[str]


@cache
def derive(equations: str) -> Retention:
    """Solve the long-term process, sampled at the ends of equal cycles.

    The process is linear, so over one cycle p_l -> q p_l + c, where c holds all that the drive did. Raises `UserError`
    when the text's process is not linear with a constant rate: then no closed form exists and a fit must do.
    Source: definition of the factor Mia2026; solution derived here.
    """
    right = right_side(equations, "p_l")
    p_l = sympy.Symbol("p_l")
    rate = sympy.simplify(-sympy.diff(right, p_l))
    drive = sympy.simplify(right + rate * p_l)
    if rate.has(p_l) or rate.has(sympy.Symbol("s")):
        raise UserError("dp_l/dt is not linear with a constant rate, so retention has no closed form; fit it instead")
    # (E4.1) q = exp(-gamma_l tau_cycle/tau_pl)
    q_of_parameters = sympy.exp(-rate * sympy.Symbol("tau_cycle"))
    share = _share()
    return Retention(q_of_parameters, share, frozenset(map(str, drive.free_symbols - rate.free_symbols)))


@cache
def _share() -> sympy.Expr:
    """RF(t, T): increment of cycle t over the sum of all T increments, in p_(n+1) = q p_n + c from p_0 = 0."""
    n = sympy.Symbol("n", integer=True, nonnegative=True)
    c = sympy.Symbol("c", positive=True)
    p = sympy.Function("p")
    after = sympy.rsolve(p(n + 1) - q * p(n) - c, p(n), {p(0): 0})
    increment = sympy.factor(sympy.simplify(after.subs(n, t) - after.subs(n, t - 1)))
    total = sympy.simplify(after.subs(n, T))
    ratio = sympy.simplify(increment / total)
    if ratio.has(c):
        raise AssertionError("the drive did not cancel")
    # (E4.2) RF(t,T) = q^(t-1) (1-q)/(1-q^T)
    form = q ** (t - 1) * (1 - q) / (1 - q**T)
    if sympy.simplify(ratio - form) != 0:
        raise AssertionError(f"sympy's solution {ratio} is not the expected form")
    return form
