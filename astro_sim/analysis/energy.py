"""The energy of macro and associative_memory, from a recording: it cannot rise while the input is constant."""

from astro_sim.courses import input_courses
from astro_sim.models.associative_memory import energy_of, log_cosh
from astro_sim.models.macro import distances, falling, processes
from astro_sim.plan import plan_of
from foundation.errors import UserError


def energy(recording):
    """The energy that cannot rise while the input is constant, float64 (time,).

    Holds for symmetric coupling and synapses that act both ways: w_g = 1, and in macro w_back = 1 (coupling 'none' is
    fine); in associative_memory s, p_s and d start and stay symmetric in the two neurons. In macro every synapse is
    counted once. Errors: `UserError` otherwise. Source: Kozachkov2025, with decay rates and inputs of our own.
    """
    values, name = recording.meta["parameters"], recording.meta["model"]
    if name not in ENERGIES:
        raise UserError(f"energy: '{name}' has none; give a recording of {' or '.join(ENERGIES)}")
    for weight in ("w_back", "w_g"):
        if weight in values and values[weight]["value"] != 1:
            raise UserError(f"energy: with {weight} = {values[weight]['value']:g} coupling is not symmetric; set it "
                            "to 1")
    return ENERGIES[name](recording)


def _of_macro(recording):
    import numpy as np

    values, options = recording.meta["parameters"], recording.meta["options"]
    x, s, p = (recording[name].values for name in ("x", "s", "p_s"))
    b, d = inputs_of(recording)
    half, width = (values[name]["value"] for name in ("theta_half", "theta_width"))
    theta, psi = 1 / (1 + np.exp((half - x) / width)), np.tanh(p)
    lambda_n, beta, gamma_s = (values[name]["value"] for name in ("lambda_n", "beta", "gamma_s"))
    n_pre, k = options["n_pre"], np.arange(processes(options))
    hebbian = theta[:, k % n_pre] * theta[:, n_pre + k // n_pre]
    matrix = coupling_matrix(options, {name: entry["value"] for name, entry in values.items()})
    # (E1.5) L_n = width log(1 + e^((x-half)/width)), L_s = s^2/2, L_p = log cosh p: integrals of theta, g and psi
    return ((lambda_n * (x * theta - width * np.logaddexp(0, (x - half) / width)) - b * theta).sum(1)
            + (beta * s**2 / 2 - s * hebbian - psi * s).sum(1)
            + (gamma_s * (p * psi - log_cosh(p)) - d * psi).sum(1)
            - 0.5 * np.einsum("ti,ij,tj->t", psi, matrix, psi, optimize=True))


def _of_associative_memory(recording):
    values = {name: entry["value"] for name, entry in recording.meta["parameters"].items()}
    states = (recording[name].values for name in ("x", "s", "p_s"))
    return energy_of(values, recording.meta["options"], *states, *inputs_of(recording))


ENERGIES = {"macro": _of_macro, "associative_memory": _of_associative_memory}


def coupling_matrix(options, values):
    """The coupling of the processes as one matrix on psi, float64 [process, process], diagonal included."""
    import numpy as np

    far = distances(options)
    if options["coupling"] == "dense":
        size, length = falling(values, options)
        return np.where(far > 0, size * np.exp(-far / length), 0.0)
    if options["coupling"] == "diffusive":
        near = (far == 1.0) * values["D"]
        return near - np.diag(near.sum(1))
    return np.zeros_like(far)


def inputs_of(recording):
    """The inputs b (time, neuron) and d (time, process) that a recording was driven with, at its times."""
    plan, found = plan_of(recording.meta), []
    for population, variable in (("neuron", "b"), ("process", "d")):
        table, columns = input_courses(plan, population, variable)
        found.append(table[:: plan.every][: len(recording.time), columns])
    return tuple(found)
