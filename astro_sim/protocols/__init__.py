"""What drives the inputs of a model over time: as data, as numbers in every step, as lines of ODE text.

    from astro_sim.protocols import cycles, poisson

The protocols stand here by name; what the simulator makes of them is imported from its own file.
"""

from astro_sim.protocols.drive import (
    PROTOCOLS,
    Drive,
    Protocol,
    about,
    about_text,
    constant,
    cycles,
    drive_from_dict,
    drives,
    parse,
    ramp,
    square,
    steps,
)
from astro_sim.protocols.trains import Poisson, Spikes, Train, pairing, poisson, regular, spikes

__all__ = ["PROTOCOLS", "Drive", "Poisson", "Protocol", "Spikes", "Train", "about", "about_text", "constant", "cycles",
           "drive_from_dict", "drives", "pairing", "parse", "poisson", "ramp", "regular", "spikes", "square", "steps"]
