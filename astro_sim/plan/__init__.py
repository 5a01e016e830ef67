"""What a simulation will do: checked, its inputs resolved, before anything is built; and read back from a recording."""

from typing import TYPE_CHECKING

from foundation.lazy import face

if TYPE_CHECKING:
    from astro_sim.plan.choice import find_model
    from astro_sim.plan.defaults import DEFAULT_DT, DEFAULT_DURATION, NOTHING
    from astro_sim.plan.plan import ADAPTIVE, FIXED, Plan
    from astro_sim.plan.preparation import prepare
    from astro_sim.plan.protocol_checks import WithoutEffect
    from astro_sim.plan.restoration import model_of, plan_of
    from astro_sim.plan.rounding import RoundedTimes

_NAMES = {
    "DEFAULT_DT": "astro_sim.plan.defaults", "DEFAULT_DURATION": "astro_sim.plan.defaults",
    "NOTHING": "astro_sim.plan.defaults", "ADAPTIVE": "astro_sim.plan.plan", "FIXED": "astro_sim.plan.plan",
    "Plan": "astro_sim.plan.plan",
    "find_model": "astro_sim.plan.choice", "prepare": "astro_sim.plan.preparation",
    "RoundedTimes": "astro_sim.plan.rounding", "WithoutEffect": "astro_sim.plan.protocol_checks",
    "model_of": "astro_sim.plan.restoration", "plan_of": "astro_sim.plan.restoration",
}
__getattr__, __dir__, __all__ = face("astro_sim.plan", _NAMES)
