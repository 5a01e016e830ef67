"""What a simulation will do: checked, its inputs resolved, before anything is built; and read back from a recording."""

from astro_sim.plan.choice import find_model
from astro_sim.plan.plan import DEFAULT_DT, DEFAULT_DURATION, METHODS, NOTHING, Plan
from astro_sim.plan.preparation import prepare
from astro_sim.plan.restoration import model_of, plan_of

__all__ = ["DEFAULT_DT", "DEFAULT_DURATION", "METHODS", "NOTHING", "Plan", "find_model", "model_of", "plan_of",
           "prepare"]
