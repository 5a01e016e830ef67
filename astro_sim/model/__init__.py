"""What a model is: ODE text and its symbols, populations, connections, inputs, options, checked as one."""

from astro_sim.model.model import Model
from astro_sim.model.option import Option, Options
from astro_sim.model.parts import (
    Belonging,
    Connection,
    Event,
    Input,
    Law,
    Observable,
    Pairs,
    Population,
    SpikeInput,
    one_to_one,
)

__all__ = ["Belonging", "Connection", "Event", "Input", "Law", "Model", "Observable", "Option", "Options", "Pairs",
           "Population", "SpikeInput", "one_to_one"]
