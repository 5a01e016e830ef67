"""Neurons and astrocytes simulated: parameters with sources, models as ODE text, protocols, recordings.

    from astro_sim import simulate
    from astro_sim.protocols import constant

    recording = simulate("li_rinzel:AM", constant("ip3", "0.5 umolar"), duration="60 s")
    recording["C"].at("30 s")

Nothing is loaded before it is asked for.
"""

from typing import TYPE_CHECKING

from foundation.lazy import face

if TYPE_CHECKING:
    from astro_sim import analysis, dynamics, models, protocols
    from astro_sim.model import (
        Belonging,
        Connection,
        Event,
        Input,
        Law,
        Model,
        Observable,
        Option,
        Pairs,
        Population,
        SpikeInput,
    )
    from astro_sim.models import MODELS
    from astro_sim.parameter import Parameter
    from astro_sim.recording.recording import Recording, load
    from astro_sim.recording.series import Series
    from astro_sim.run.attached import attach
    from astro_sim.run.ensembles import ensemble
    from astro_sim.run.fitting.data_fit import fit
    from astro_sim.run.simulation import simulate
    from astro_sim.run.sweeps import grid, sweep
    from astro_sim.show.citations import print_citations

_PARTS = ("Belonging", "Connection", "Event", "Input", "Law", "Model", "Observable", "Option", "Pairs", "Population",
          "SpikeInput")
__getattr__, __dir__, __all__ = face(__name__, {
    "attach": "astro_sim.run.attached", "fit": "astro_sim.run.fitting.data_fit",
    "ensemble": "astro_sim.run.ensembles",
    "simulate": "astro_sim.run.simulation", "sweep": "astro_sim.run.sweeps", "grid": "astro_sim.run.sweeps",
    "Recording": "astro_sim.recording.recording", "Series": "astro_sim.recording.series",
    "load": "astro_sim.recording.recording", "MODELS": "astro_sim.models", "Parameter": "astro_sim.parameter",
    "print_citations": "astro_sim.show.citations",
    **dict.fromkeys(_PARTS, "astro_sim.model"),
    **{name: f"astro_sim.{name}" for name in ("analysis", "dynamics", "models", "protocols")},
})
