"""The functions that ODE text may name, on three kinds of numbers: plain, arrays that may be complex, mpmath's.

A complex step carries a derivative in its imaginary part, so functions with a corner decide by the real part.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

LARGEST_EXPONENT = 709.0  # of a float; a solver may try values far away


def _size(x: ArrayLike) -> np.ndarray:
    return np.where(np.real(x) < 0, -np.asarray(x), x)


def _clip(x: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    return np.where(np.real(x) < np.real(low), low, np.where(np.real(x) > np.real(high), high, x))


ARRAYS: Mapping[str, object] = {
    "exp": np.exp, "tanh": np.tanh, "sqrt": np.sqrt, "log": np.log, "sin": np.sin, "cos": np.cos, "abs": _size,
    "sign": lambda x: np.sign(np.real(x)), "clip": _clip, "int": lambda x: np.trunc(np.real(x)), "pi": math.pi,
    "inf": math.inf}

PLAIN: Mapping[str, object] = {
    "exp": lambda x: math.exp(min(x, LARGEST_EXPONENT)), "tanh": math.tanh, "sqrt": math.sqrt, "log": math.log,
    "sin": math.sin, "cos": math.cos, "abs": abs, "sign": lambda x: (x > 0) - (x < 0),
    "clip": lambda x, low, high: min(max(x, low), high), "int": int, "pi": math.pi, "inf": math.inf}


def exact() -> dict[str, Callable]:
    """Those of mpmath, with as many digits as they are asked for."""
    import mpmath

    return {"exp": mpmath.exp, "tanh": mpmath.tanh, "sqrt": mpmath.sqrt, "log": mpmath.log, "sin": mpmath.sin,
            "cos": mpmath.cos, "abs": lambda x: -x if mpmath.re(x) < 0 else x,
            "sign": lambda x: mpmath.sign(mpmath.re(x)),
            "clip": lambda x, low, high: low if mpmath.re(x) < low else high if mpmath.re(x) > high else x,
            "int": lambda x: int(mpmath.re(x)), "pi": mpmath.pi, "inf": mpmath.inf}
