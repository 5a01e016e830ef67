"""What drives the inputs of a model over time: as data, as numbers in every step, as lines of ODE text.

    from astro_sim.protocols import cycles, poisson

The protocols stand here by name; what the simulator makes of them is imported from its own file.
"""

from astro_sim.protocols.drive import Drive, Levels, constant, cycles, ramp, square, steps
from astro_sim.protocols.formula import Formula, alpha, exponential, expression, sine
from astro_sim.protocols.kinds import PROTOCOLS, Protocol, about, about_text, drive_from_dict, drives, parse
from astro_sim.protocols.samples import Samples, samples
from astro_sim.protocols.trains import Poisson, Raster, Spikes, Train, pairing, poisson, raster, regular, spikes

__all__ = ["PROTOCOLS", "Drive", "Formula", "Levels", "Poisson", "Protocol", "Raster", "Samples", "Spikes", "Train",
           "about", "about_text", "alpha", "constant", "cycles", "drive_from_dict", "drives", "exponential",
           "expression", "pairing", "parse", "poisson", "ramp", "raster", "regular", "samples", "sine", "spikes",
           "square", "steps"]
