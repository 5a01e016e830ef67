"""The energy of the macro model: every synapse once, any size."""

from collections.abc import Mapping

import numpy as np

from astro_sim.model import Options
from astro_sim.models.macro.pairs import falling, neighbours, processes
from foundation.shapes import Array, Float


def energy_terms(values: Mapping[str, float], options: Options, *, x: Float[Array, "time neuron"],
                 s: Float[Array, "time process"], p: Float[Array, "time process"], b: Float[Array, "time neuron"],
                 d: Float[Array, "time process"]) -> list[Float[Array, "time _"]]:
    """The parts of the energy, a list of float64 (time, element); their sum cannot rise while b and d are constant.

    values: parameters by name; x, b (time, neuron); s, p, d (time, process). Holds for w_back = w_g = 1.
    Source: Kozachkov2025, with decay rates and inputs of our own.
    """
    half, width, n_pre, k = values["theta_half"], values["theta_width"], options["n_pre"], np.arange(processes(options))
    theta, psi = 1 / (1 + np.exp((half - x) / width)), np.tanh(p)
    # (E1.5) L_n = width log(1 + e^((x-half)/width)), L_s = s^2/2, L_p = log cosh p: integrals of theta, g and psi
    return [values["lambda_n"] * (x * theta - width * np.logaddexp(0, (x - half) / width)), -b * theta,
            values["beta"] * s**2 / 2, -s * theta[:, k % n_pre] * theta[:, n_pre + k // n_pre], -psi * s,
            values["gamma_s"] * (p * psi - np.logaddexp(p, -p) + np.log(2)), -d * psi, _coupling(values, options, psi)]


def _coupling(values: Mapping[str, float], options: Options, psi: Float[Array, "time process"]
              ) -> Float[Array, "time element"]:
    """-1/2 sum T psi psi, float64 (time, element), without the N^2 pairs: by FFT, over neighbours, or over the sum."""
    from astro_sim.model.grid_sum import GridSum

    equal, whole = options["layout"] == "equal", psi.sum(axis=1, keepdims=True)
    if options["coupling"] == "dense":
        size, length = falling(values, options)
        if equal:
            return -size * np.exp(-1 / length) / 2 * psi * (whole - psi)
        shape = (options["n_post"], options["n_pre"]) if options["layout"] == "grid" else (processes(options),)
        total = GridSum(shape, lambda far: size * np.exp(-far / length))
        return -psi * np.array([total(row) for row in psi]) / 2
    if options["coupling"] == "diffusive":
        if equal:
            return values["D"] / 2 * psi * (psi.shape[1] * psi - whole)
        pairs = neighbours(options)  # each twice
        return values["D"] / 4 * (psi[:, pairs.source] - psi[:, pairs.target]) ** 2
    return np.zeros((len(psi), 1))
