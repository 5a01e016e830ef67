"""What a model says without being simulated: equilibria, bifurcations, limit cycles, nullclines.

    from astro_sim import dynamics
    dynamics.scan("li_rinzel:AM", over="ip3", low="0 umolar", high="1 umolar")     # a Diagram
    dynamics.equilibria("li_rinzel:AM", {"ip3": "0.5 umolar"})
    dynamics.limit_cycle("li_rinzel:AM", {"ip3": "0.5 umolar"}).period             # seconds
    dynamics.phase_plane("li_rinzel:AM", {"ip3": "0.5 umolar"}).plot()

A model is a `Model`, a name, name:SET, or file.py:NAME; states may have either sign.
"""

from typing import TYPE_CHECKING

from foundation.lazy import face

if TYPE_CHECKING:
    from astro_sim.dynamics.diagram import Diagram as Diagram
    from astro_sim.dynamics.limit_cycles import LimitCycle as LimitCycle
    from astro_sim.dynamics.limit_cycles import limit_cycle as limit_cycle
    from astro_sim.dynamics.plane import PhasePlane as PhasePlane
    from astro_sim.dynamics.plane import phase_plane as phase_plane
    from astro_sim.dynamics.resting import equilibria as equilibria
    from astro_sim.dynamics.resting import equilibrium as equilibrium
    from astro_sim.dynamics.resting import hopf_points as hopf_points
    from astro_sim.dynamics.scanning import scan as scan

__getattr__, __dir__, __all__ = face(__name__, {
    "Diagram": "astro_sim.dynamics.diagram", "LimitCycle": "astro_sim.dynamics.limit_cycles",
    "PhasePlane": "astro_sim.dynamics.plane", "equilibria": "astro_sim.dynamics.resting",
    "equilibrium": "astro_sim.dynamics.resting", "hopf_points": "astro_sim.dynamics.resting",
    "limit_cycle": "astro_sim.dynamics.limit_cycles", "phase_plane": "astro_sim.dynamics.plane",
    "scan": "astro_sim.dynamics.scanning",
})
