"""The energy of macro and associative_memory, from a recording: it cannot rise while the input is constant."""

from astro_sim.models import associative_memory
from astro_sim.models.macro import energy as macro_energy
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
    states = (recording[state].values for state in ("x", "s", "p_s"))
    parts = ENERGIES[name]({key: entry["value"] for key, entry in values.items()}, recording.meta["options"], *states,
                           *inputs_of(recording))
    return sum(part.sum(axis=1) for part in parts)


ENERGIES = {"macro": macro_energy.energy_terms, "associative_memory": associative_memory.energy_terms}


def inputs_of(recording):
    """The inputs b (time, neuron) and d (time, process) that a recording was driven with, at its times."""
    plan, found = plan_of(recording.meta), []
    for population, variable in (("neuron", "b"), ("process", "d")):
        course = plan.inputs[population, variable]
        found.append(course.means(plan.edges)[:: plan.every][: len(recording.time), course.which])
    return tuple(found)
