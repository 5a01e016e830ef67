"""Closed forms of the tripartite synapse: what a spike releases at a rate, and what a release of gliotransmitter binds.

Rates in 1/s, probabilities and shares without unit; sources: TsodyksMarkram1997, DePitta2011, Stimberg2019.
"""

from math import exp

from foundation.errors import UserError


def _checked(rate: float) -> float:
    if rate <= 0:
        raise UserError(f"rate: {rate} is not allowed; it must be above zero")
    return rate


def regular_train(U_0: float, rate: float, Omega_f: float, Omega_d: float) -> tuple[float, float, float]:
    """(u, x, r) at a spike of a long regular train: use after the spike's own step, resources before it, release."""
    a, b = exp(-Omega_f / _checked(rate)), exp(-Omega_d / rate)
    # (E2.17) fixed point of the map from spike to spike
    u = U_0 / (1 - (1 - U_0) * a)
    x = (1 - b) / (1 - (1 - u) * b)
    return u, x, u * x


def poisson_use(U_0: float, rate: float, Omega_f: float) -> float:
    """Mean use u at a spike of a long Poisson train; exact."""
    # (E2.18) <u> at a spike
    return U_0 * (Omega_f + _checked(rate)) / (Omega_f + U_0 * rate)


def poisson_release(U_0: float, rate: float, Omega_f: float, Omega_d: float) -> float:
    """Mean release at a spike of a Poisson train in mean-field: the correlation of u and x is neglected."""
    u = poisson_use(U_0, rate, Omega_f)
    return u * Omega_d / (Omega_d + u * rate)


def facilitation_threshold(Omega_f: float, Omega_d: float) -> float:
    """Release probability below which mean release first grows with the rate (facilitation), above which it falls."""
    # (E2.18) sign of d<r>/d(rate) at rate 0
    return Omega_d / (Omega_d + Omega_f)


def resting_probability(U_0_star: float, Gamma_S: float, glio_sign: float) -> float:
    """U_0 with the share Gamma_S of presynaptic receptors bound."""
    return (1 - Gamma_S) * U_0_star + glio_sign * Gamma_S


def bound_at_threshold(U_0_star: float, glio_sign: float, Omega_f: float, Omega_d: float) -> float | None:
    """Share of bound receptors at which gliotransmission turns depression to facilitation, or back; None: never."""
    wanted = facilitation_threshold(Omega_f, Omega_d)
    if glio_sign == U_0_star or not 0 <= (wanted - U_0_star) / (glio_sign - U_0_star) <= 1:
        return None
    return (wanted - U_0_star) / (glio_sign - U_0_star)


def bound_by_release(Gamma_S: float, x_A: float, J: float, U_A: float) -> float:
    """Share of receptors bound after one release: J = rho_e O_G G_T/Omega_e.

    Neglects unbinding while the gliotransmitter is there: a relative error of about Omega_G/Omega_e.
    """
    # (E2.19) all the gliotransmitter of a release has come and gone
    return 1 - (1 - Gamma_S) * exp(-J * U_A * x_A)


def bound_by_regular_releases(rate: float, J: float, U_A: float, Omega_A: float, Omega_G: float) -> float:
    """Share of receptors bound just after each of a long regular train of releases."""
    left = exp(-Omega_A / _checked(rate))
    x_A = (1 - left) / (1 - (1 - U_A) * left)
    kept, unbound = exp(-J * U_A * x_A), exp(-Omega_G / rate)
    return (1 - kept) / (1 - kept * unbound)
