"""The energy of a recording whose model has one: it cannot rise while the inputs are constant."""

from astro_sim.models.energy_law import Energy
from astro_sim.plan import plan_of
from astro_sim.recording.recording import Recording
from foundation.errors import UserError
from foundation.shapes import Array, Float


def energy(recording: Recording) -> Float[Array, "time"]:
    """The energy at each record, with the inputs as they are from there on.

    Holds for symmetric coupling and synapses that act both ways: w_g = 1, and in macro w_back = 1 (coupling 'none' is
    fine); in associative_memory s, p_s and d start and stay symmetric in the two neurons. In macro every synapse is
    counted once. Errors: `UserError` otherwise. Source: Kozachkov2025, with decay rates and inputs of our own.
    """
    plan = plan_of(recording.meta)
    known = [law.quantity for law in plan.model.laws if isinstance(law.quantity, Energy)]
    if not known:
        raise UserError(f"energy: '{plan.model.name}' has none; give a recording of macro or associative_memory")
    return known[0].of(plan.with_one_value(), recording)
