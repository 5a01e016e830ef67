"""What a recording says: oscillations, events, firing rates, waves, how a stimulus is encoded.

    from astro_sim import analysis
    analysis.period(recording, "C")            # seconds
    analysis.amplitude(recording, "C")         # (lowest, highest) in the unit of C
    analysis.oscillation(recording, "C")       # all measures of a sustained oscillation, or an error that says why not
    analysis.detect(recording, "C>0.3 uM")     # events: times, heights, widths, intervals
    analysis.measure(recording, "event_rate(C>0.3 uM)")
    analysis.wave(recording)                   # speed and error, in places per second
    analysis.encoding(recording)               # AM, FM or both
    analysis.summarise(recording)              # all that applies, as a dictionary

Times are in seconds, values in the unit of the variable. Where there is nothing to measure, `UserError` says why.
"""

from typing import TYPE_CHECKING

from foundation.lazy import face

if TYPE_CHECKING:
    from astro_sim.analysis import events as events
    from astro_sim.analysis import waves as waves
    from astro_sim.analysis.course import Oscillation as Oscillation
    from astro_sim.analysis.course import amplitude as amplitude
    from astro_sim.analysis.course import crossings as crossings
    from astro_sim.analysis.course import duty as duty
    from astro_sim.analysis.course import oscillation as oscillation
    from astro_sim.analysis.course import peaks as peaks
    from astro_sim.analysis.course import period as period
    from astro_sim.analysis.course import rise_time as rise_time
    from astro_sim.analysis.detected import Detected as Detected
    from astro_sim.analysis.detection import detect as detect
    from astro_sim.analysis.levels import encoding as encoding
    from astro_sim.analysis.model_energy import energy as energy
    from astro_sim.analysis.named import MEASURES as MEASURES
    from astro_sim.analysis.named import measure as measure
    from astro_sim.analysis.spiking import firing_rates as firing_rates
    from astro_sim.analysis.summary import summarise as summarise
    from astro_sim.analysis.waves import wave as wave

_COURSE = "astro_sim.analysis.course"
__getattr__, __dir__, __all__ = face(__name__, {
    **dict.fromkeys(("Oscillation", "amplitude", "crossings", "duty", "oscillation", "peaks", "period", "rise_time"),
                    _COURSE),
    "Detected": "astro_sim.analysis.detected", "detect": "astro_sim.analysis.detection",
    "MEASURES": "astro_sim.analysis.named", "measure": "astro_sim.analysis.named",
    "encoding": "astro_sim.analysis.levels", "energy": "astro_sim.analysis.model_energy",
    "events": "astro_sim.analysis.events",
    "firing_rates": "astro_sim.analysis.spiking", "summarise": "astro_sim.analysis.summary",
    "wave": "astro_sim.analysis.waves", "waves": "astro_sim.analysis.waves",
})
