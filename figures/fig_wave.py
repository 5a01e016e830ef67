"""Calcium waves on a ring of astrocytes as space-time pictures: too little, enough and too much gap-junction flux."""

from collections.abc import Sequence

from derivation.simulation.cache import simulate
from figures import style
from figures.sources import Sources

FLUXES = (0.03, 0.09, 0.3)  # umolar/second: a third of the published flux, itself, and about three times it
ASTROCYTES, FED = 30, 15
PERIOD, SHARE, STIMULI = 50.0, 0.4, 4  # seconds; the stimulus of Stimberg2019's ring


def ring(flux: float, stimuli: int = STIMULI):
    """A ring with one astrocyte fed IP3 in pulses, 50 s each."""
    protocol = (f"cycles:input=ip3_source,high=1 umolar,period={PERIOD:g} s,duty={SHARE:g},count={stimuli},"
                f"elements={FED}")
    return simulate("astrocyte_network", protocol, parameters={"F": f"{flux} umolar/second"}, initial={"h": 0.9},
                    options={"layout": "ring", "n_columns": ASTROCYTES}, duration=f"{stimuli * PERIOD} s", dt="50 ms",
                    record_every="500 ms")


def draw(sources: Sources):
    return waves(FLUXES, STIMULI)


def waves(fluxes: Sequence[float], stimuli: int):
    """A space-time picture for each flux."""
    figure, axes = style.subplots(1, len(fluxes), width=9.6, height=4.0, sharey=True)
    for axis, flux in zip(axes, fluxes, strict=True):
        recording = ring(flux, stimuli)
        image = axis.imshow(recording["C"].values.T, aspect="auto", origin="lower", cmap=style.HEAT, vmin=0, vmax=1,
                            extent=(0, recording.time[-1], -0.5, ASTROCYTES - 0.5), interpolation="nearest")
        for n in range(stimuli):
            axis.plot([n * PERIOD, (n + SHARE) * PERIOD], [FED, FED], color=style.ORANGE, lw=2)
        axis.set(title=f"F = {flux:g} µM/s", xlabel="time (s)")
    axes[0].set_ylabel("astrocyte on the ring (orange: fed IP3)")
    figure.colorbar(image, ax=axes, label="calcium (µM)", shrink=0.85)
    return figure
