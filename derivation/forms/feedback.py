"""Feedback: from the receptors' ODE to the share of release that bound gliotransmitter leaves."""

from dataclasses import dataclass
from functools import cache

import sympy

from astro_sim.model import Model
from astro_sim.model.equation_text import lines
from astro_sim.models import MODELS
from derivation.forms.ode import parse, right_side
from foundation.errors import UserError

level, half_level, dose, affinity, K, calcium = sympy.symbols("level half_level dose affinity K calcium", positive=True)
tau_cycle = sympy.Symbol("tau_cycle", positive=True)


@dataclass(frozen=True)
class Feedback:
    """In symbols of the model's text: `half_level_of_parameters` (gliotransmitter that binds half of the receptors) and
    `dose_of_parameters` (what a release from full stores amounts to, integrated over time).

    In symbols of this file: `bound` and `release` at a constant `level`; `K_of_scales`, the half level in units of the
    mean level of one release a cycle; `form`, the release in that unit; `pulsed`, its mean under regular releases.
    """

    half_level_of_parameters: sympy.Expr
    dose_of_parameters: sympy.Expr
    bound: sympy.Expr
    release: sympy.Expr
    K_of_scales: sympy.Expr
    form: sympy.Expr
    pulsed: sympy.Expr


@cache
def derive() -> Feedback:
    """The feedback of the tripartite synapse."""
    return solve(MODELS["tripartite"])


def solve(model: Model) -> Feedback:
    """Steady state of the bound receptors at a constant level of gliotransmitter, and what it leaves of release.

    Raises `UserError` where the model's receptors do not bind by first order, or do not act on release in proportion.
    Source: equations DePitta2011, Stimberg2019; solution derived here. Neglected: that gliotransmitter comes in pulses
    (`pulsed` has them), and stores that are not full again at the next one.
    """
    text = model.population("synapse").equations
    gamma, gas = sympy.symbols("Gamma_S G_A")
    rate = sympy.expand(right_side(text, "Gamma_S"))
    binding, unbinding = rate.coeff(gas).subs(gamma, 0), -rate.subs(gas, 0).coeff(gamma)
    if sympy.expand(rate - (binding * gas * (1 - gamma) - unbinding * gamma)) != 0 or {gas, gamma} & (
            binding.free_symbols | unbinding.free_symbols):
        raise UserError(f"dGamma_S/dt = {rate} is not binding of first order; the feedback has no closed form")
    # (E4.7) Gamma = G/(G + half_level), half_level = Omega_G/O_G
    half = unbinding / binding
    (bound,) = sympy.solve(rate.subs(gas, level), gamma)
    bound = sympy.simplify(bound.subs(unbinding, half_level * binding))
    release = _release_decreasing(text, bound)
    return Feedback(half, _dose(model, text), bound, release,
                    # (E4.8) K = half_level tau_cycle/dose: the half level over the mean level of one release a cycle
                    half_level * tau_cycle / dose, sympy.simplify(release.subs({half_level: K, level: calcium})),
                    _pulsed())


def _release_decreasing(text: str, bound: sympy.Expr) -> sympy.Expr:
    """Release probability over that at rest, where bound receptors release nothing (glio_sign = 0)."""
    gamma, sign, rest = sympy.symbols("Gamma_S glio_sign U_0_star")
    probability = right_side(text, "U_0")
    if sympy.diff(probability, gamma, 2) != 0 or probability.subs(gamma, 0) != rest:
        raise UserError(f"U_0 = {probability} is not in proportion to the bound receptors")
    # (E4.9) P = 1 - Gamma = half_level/(half_level + G)
    return sympy.simplify((probability.subs(sign, 0) / rest).subs(gamma, bound))


def _dose(model: Model, text: str) -> sympy.Expr:
    """Integral over time of the gliotransmitter of one release from full stores."""
    released = {}
    for line in next(one.on_pre for one in model.connections if one.name == "gliotransmission").strip().splitlines():
        name, _, amount = line.partition("+=")
        if amount:
            released[name.strip()] = parse(amount.strip())
    cleared = -sympy.diff(right_side(text, "G_A"), sympy.Symbol("G_A"))
    full = next(right_side(text, line.name) for line in lines(text) if line.name == "x_A")
    (stores,) = sympy.solve(full, sympy.Symbol("x_A"))
    return released["G_A_post"].subs(sympy.Symbol("x_A_post"), stores) / cleared


def _pulsed() -> sympy.Expr:
    """Mean release under regular releases from full stores, whose mean level is `calcium` in units of one a cycle.

    `affinity` is binding rate times dose: a release leaves exp(-affinity) of the free receptors free. It has come and
    gone at once, against the time of unbinding.
    """
    start, left, time = sympy.symbols("start left time", positive=True)  # left: unbinding rate times the period
    after = 1 - (1 - start * sympy.exp(-left)) * sympy.exp(-affinity)
    (peak,) = sympy.solve(sympy.Eq(start, after), start)
    kept = sympy.integrate(sympy.exp(-left * time), (time, 0, 1))
    mean = (1 - sympy.exp(-affinity)) / (1 - sympy.exp(-affinity - left)) * (1 - sympy.exp(-left)) / left
    if sympy.simplify(peak * kept - mean) != 0:
        raise AssertionError(f"sympy's solution {peak * kept} is not the expected form")
    # unbinding * period = (half_level O_G) (dose/level) = affinity half_level/level = affinity K/calcium
    # (E4.10) P = 1 - (1-exp(-y))/(1-exp(-y-x)) (1-exp(-x))/x, x = y K/C, y = O_G dose
    return (1 - mean).subs(left, affinity * K / calcium)
