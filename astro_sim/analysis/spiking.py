"""Firing rates of neurons, from the spikes of a recording."""

import numpy as np

from astro_sim.analysis import events
from astro_sim.recording.recording import Recording


def firing_rates(recording: Recording, after: float = 0.0, name: str = "spikes") -> dict[str, dict]:
    """{kind of neuron: {neurons, active, spikes, mean_hertz, lowest_hertz, highest_hertz}}, from `after` s to the end.

    A kind is what the neurons' labels begin with: "excitatory", "inhibitory". Errors: `UserError` for a recording
    without these events, or nothing after `after`.
    """
    found = events.of(recording, name)
    rates = events.rates(recording, found, after)
    lasts = float(recording.time[-1]) - after
    labels = next(s.labels for s in recording.variables.values() if s.population == found.population)
    kinds = np.array([label.rpartition(" ")[0] or found.population for label in labels])
    return {str(kind): _of(rates[kinds == kind], lasts) for kind in dict.fromkeys(kinds.tolist())}


def _of(rates: np.ndarray, lasts: float) -> dict:
    return {"neurons": len(rates), "active": int((rates > 0).sum()), "spikes": round(float(rates.sum()) * lasts),
            "mean_hertz": float(rates.mean()), "lowest_hertz": float(rates.min()),
            "highest_hertz": float(rates.max())}
