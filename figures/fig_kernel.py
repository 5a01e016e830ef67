"""The position kernel three times: recorded response, closed form, and what the network's kernel does to a point."""

import numpy as np
import torch

from derivation.simulation.nondimensional import steady_response
from derivation.simulation.simulations import PLACES
from figures import style
from figures.sources import Sources
from rmaat.attention.kernel import position_kernel
from rmaat.biology.biology import Biology

SHOWN = 24


def draw(sources: Sources):
    entry = sources.record.entry("relative_position")
    figure, axis = style.subplots()
    distance = np.arange(SHOWN + 1)
    axis.plot(distance, [entry.evaluate(distance=float(d)) for d in distance], color=style.BLACK,
              label="closed form  exp(-scale d)")
    looks = (("o", 13, style.ORANGE), ("s", 8, style.GREEN))  # what lies below is drawn larger
    for (coupling, recording), (marker, size, colour) in zip(sources.lines.items(), looks, strict=True):
        measured = steady_response(recording, PLACES // 2)
        right = measured.response[PLACES // 2:][: SHOWN + 1]
        scale = right[1] / entry.evaluate(distance=1.0)  # the driven place itself holds a delta beside the exponential
        axis.plot(distance[1:], right[1:] / scale, marker, ms=size, mfc="none", mew=1.6, color=colour,
                  label=f"recorded, {coupling} coupling, over its value at d = 1")
    kernel = position_kernel(Biology.of(sources.record), PLACES)
    point = torch.zeros(PLACES, 1, dtype=torch.float64)
    point[PLACES // 2] = 1
    axis.plot(distance, kernel(point)[PLACES // 2:, 0][: SHOWN + 1], "x", ms=6, mew=1.8, color=style.BLUE,
              label="torch: kernel applied to one token")
    axis.set(xlabel="distance d (places = tokens)", ylabel="coupling r", yscale="log",
             title=f"Relative position, scale = {entry.constants['scale'].value:.5f} per place")
    axis.legend()
    return figure
