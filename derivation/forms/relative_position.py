"""The position kernel: how the response of the short-term processes decays from one driven process.

On a line it is an exponential; on a ring the sum over the exponential's turns; on a sheet, with coupling of neighbours,
the Green function of the square lattice, near K0 of the distance.
"""

import math
from dataclasses import dataclass
from functools import cache

import sympy

from astro_sim.models import MODELS
from derivation.forms.ode import parse, right_side
from foundation.errors import UserError, choose

z = sympy.Symbol("z")  # a response that falls as z^distance


@dataclass(frozen=True)
class Kernel:
    """`mu`: decay of the response per place; `scale` = -ln(mu) of r = exp(-scale*distance); in the model's parameters.

    The linearised process is stable while `margin` is positive.
    """

    mu: sympy.Expr
    scale: sympy.Expr
    margin: sympy.Expr


@cache
def derive(coupling: str) -> Kernel:
    """Linearised steady state (gamma_s - T) p = drive of the macro model: its pole inside the unit circle is mu.

    `coupling` is 'dense' or 'diffusive'. Neglected: saturation of psi, the ends of the line. Raises `UserError` for
    another coupling, or one whose strength does not fall geometrically: then there is no such closed form.
    Source: derived here from the text of the macro model.
    """
    model = MODELS["macro"]
    right = right_side(model.population("process").equations, "p_s")
    decay = -sympy.diff(right, sympy.Symbol("p_s")) / sympy.diff(right, sympy.Symbol("coupling"))
    p_s = sympy.Symbol("p_s")
    slope = sympy.diff(right_side(model.population("process").equations, "psi"), p_s).subs(p_s, 0)
    connections = {connection.name: connection for connection in model.connections}
    transform = slope * choose("coupling", coupling, TRANSFORMS)(connections)
    pole = sympy.Poly(sympy.expand(sympy.numer(sympy.together(decay - transform))), z)
    outer, middle, inner = pole.all_coeffs()
    if sympy.simplify(outer - inner) != 0:
        raise AssertionError(f"the poles of a symmetric coupling come in pairs mu, 1/mu; found {pole}")
    # (E4.3) mu + 1/mu = ((1+lam^2) - a (1-lam^2)/(gamma_s+a))/lam
    # (E4.4) mu + 1/mu = 2 + gamma_s/D
    sum_of_pair = sympy.simplify(-middle / outer)
    mu = (sum_of_pair - sympy.sqrt(sum_of_pair**2 - 4)) / 2
    # (E4.5) scale = -ln mu
    return Kernel(mu, -sympy.log(mu), sympy.simplify(decay - transform.subs(z, 1)))


def _dense(connections) -> sympy.Expr:
    """Sum of T_d z^d over all places d but 0, as two geometric series."""
    n = sympy.Symbol("n", integer=True, positive=True)
    strength = parse(connections["dense_coupling"].fixed["T"]).subs(sympy.Symbol("distance"), n)
    ratio = sympy.simplify(strength.subs(n, n + 1) / strength)
    if ratio.has(n):
        raise UserError(f"the coupling {strength} does not fall geometrically: the kernel has no closed form; fit it")
    first = strength.subs(n, 1)
    return first * z / (1 - ratio * z) + first / z / (1 - ratio / z)


def _diffusive(connections) -> sympy.Expr:
    """Both neighbours' contributions: the process itself is 1, its neighbours are z and 1/z."""
    flow = right_side(connections["diffusive_coupling"].equations, "coupling_post")
    pre, post = sympy.symbols("psi_pre psi_post")
    return sum(flow.subs({pre: neighbour, post: 1}) for neighbour in (z, 1 / z))


TRANSFORMS = {"dense": _dense, "diffusive": _diffusive}


# ---------------------------------------------------------------------------------------------- ring and sheet

scale, distance, places = sympy.symbols("scale distance places", positive=True)
K0_STEP, K0_TERMS = 0.5, 15  # of the trapezoidal rule for K0: exact to 1e-5 between x = 0.04 and 7


@cache
def ring() -> sympy.Expr:
    """The response at `distance` on a ring of `places`, over that at the driven process.

    The line's exponential, wound around the ring: every turn adds its part.
    """
    n = sympy.Symbol("n", integer=True, nonnegative=True)
    turns = sympy.summation(z**n, (n, 0, sympy.oo)).args[0][0].subs(z, sympy.exp(-scale * places))
    one_way, other_way = (sympy.exp(-scale * start) * turns for start in (distance, places - distance))
    wound = one_way + other_way
    # (E4.12) r = (mu^d + mu^(n-d))/(1 + mu^n)
    form = (sympy.exp(-scale * distance) + sympy.exp(-scale * (places - distance))) / (1 + sympy.exp(-scale * places))
    if sympy.simplify(wound / wound.subs(distance, 0) - form) != 0:
        raise AssertionError(f"the sum over the turns, {wound}, is not the expected form")
    return form


@cache
def sheet() -> sympy.Expr:
    """K0(scale r)/K0(scale core), r^2 = distance^2 + core^2: the response on a sheet, coupling of neighbours.

    Far away the lattice's Green function is K0; at the driven process it is ln(32/scale^2)/(4 pi) for small scale
    (the resistance of the square lattice), which K0 takes at `core` places. K0(x) is the integral of exp(-x cosh t),
    by the trapezoidal rule, so that the form needs no other function than exp.
    """
    core = sympy.Symbol("core", positive=True)

    def bessel(x):
        weights = [sympy.Rational(1, 2)] + [1] * (K0_TERMS - 1)
        return sum(weight * sympy.exp(-sympy.Float(math.cosh(k * K0_STEP), 10) * x)
                   for k, weight in enumerate(weights))

    # (E4.14) r = K0(scale sqrt(d^2 + core^2))/K0(scale core)
    return bessel(scale * sympy.sqrt(distance**2 + core**2)) / bessel(scale * core)


def lattice_core() -> sympy.Expr:
    """The distance at which K0 has the value of the square lattice's Green function at 0, for small scale."""
    # K0(x) = -ln(x/2) - gamma near 0, G(0) = ln(32/scale^2)/(4 pi), G(r) = K0(scale r)/(2 pi)
    x = sympy.Symbol("x", positive=True)
    (found,) = sympy.solve(sympy.Eq(-sympy.log(scale * x / 2) - sympy.EulerGamma, sympy.log(32 / scale**2) / 2), x)
    return sympy.simplify(found)


@cache
def dense_sheet() -> tuple[sympy.Expr, sympy.Expr]:
    """(scale, margin) of the dense coupling a exp(-r/ell) on a sheet, for ell long against a place.

    The transform of exp(-r/ell) in two dimensions is 2 pi ell^2/(1 + k^2 ell^2)^(3/2); its pole at k = i scale gives
    the decay, and the response is stable while `margin` is positive: summed over a sheet, coupling is strong.
    """
    a, ell, gamma_s = sympy.symbols("a ell gamma_s", positive=True)
    # (E4.15) scale = sqrt(1 - (2 pi a ell^2/gamma_s)^(2/3))/ell
    strength = 2 * sympy.pi * a * ell**2 / gamma_s
    return sympy.sqrt(1 - strength ** sympy.Rational(2, 3)) / ell, gamma_s * (1 - strength)
