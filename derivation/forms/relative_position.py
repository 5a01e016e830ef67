"""The position kernel: how the response of the short-term processes decays from one driven process on a line."""

from dataclasses import dataclass
from functools import cache

import sympy

from astro_sim.models import MODELS
from derivation.ode import parse, right_side
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
