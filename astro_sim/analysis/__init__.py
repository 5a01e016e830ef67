"""What a recording or a model says: oscillations, events, waves, encoding, equilibria, the phase plane, energies.

The measures of one course stand here by name; everything else is imported from its own file.
"""

from astro_sim.analysis.course import (
    Oscillation,
    amplitude,
    crossings,
    duty,
    oscillation,
    peaks,
    period,
    rise_time,
)

__all__ = ["Oscillation", "amplitude", "crossings", "duty", "oscillation", "peaks", "period", "rise_time"]
