"""The position kernel: how the response of the short-term processes decays from one driven process on a line."""

from dataclasses import dataclass
from functools import cache

import sympy

z = sympy.Symbol("z", positive=True)


@dataclass(frozen=True)
class Kernel:
    """`mu_of_parameters`: decay of the response per place; `scale` = -ln(mu) of r = exp(-scale*distance)."""

    mu_of_parameters: sympy.Expr
    scale: sympy.Expr
    stable_while: sympy.Expr  # positive where the linearised process is stable


def coupling_transform(coupling: str) -> sympy.Expr:
    """Sum over all places d of T_d z^d: what the coupling does to a response that falls as z^d."""
    a, ell, D = sympy.symbols("a ell D", positive=True)
    if coupling == "diffusive":
        return D * (z + 1 / z - 2)
    lam, d = sympy.exp(-1 / ell), sympy.Symbol("d", integer=True, positive=True)

    def geometric(ratio):  # the convergent branch of sum over d >= 1 of ratio^d
        return sympy.summation(sympy.Symbol("x") ** d, (d, 1, sympy.oo)).args[0][0].subs(sympy.Symbol("x"), ratio)

    return a * (geometric(lam * z) + geometric(lam / z))


@cache
def derive(coupling: str) -> Kernel:
    """Linearised steady state (gamma_s - T) p = drive: its pole inside the unit circle is the decay per place.

    `coupling` is 'dense' (T_d = a exp(-|d|/ell), none with itself) or 'diffusive' (D between neighbours).
    Neglected: saturation of psi (psi' = 1 at rest), the ends of the line. Source: derived here.
    """
    gamma_s = sympy.Symbol("gamma_s", positive=True)
    transform = coupling_transform(coupling)
    pole = sympy.Poly(sympy.expand(sympy.numer(sympy.together(gamma_s - transform))), z)
    outer, middle, inner = pole.all_coeffs()
    if sympy.simplify(outer - inner) != 0:
        raise AssertionError(f"the poles of a symmetric coupling come in pairs mu, 1/mu; found {pole}")
    # (E4.3) mu + 1/mu = ((1+lam^2) - a (1-lam^2)/(gamma_s+a))/lam, or (E4.4) 2 + gamma_s/D
    sum_of_pair = sympy.simplify(-middle / outer)
    mu_of_parameters = (sum_of_pair - sympy.sqrt(sum_of_pair**2 - 4)) / 2
    # (E4.5) scale = -ln mu
    scale = -sympy.log(mu_of_parameters)
    return Kernel(mu_of_parameters, scale, gamma_s - transform.subs(z, 1))
