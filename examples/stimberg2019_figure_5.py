"""Figure 5 of Stimberg2019: calcium waves on a ring of astrocytes joined by gap junctions, one of them driven.

    python examples/stimberg2019_figure_5.py --out figure_5.png

A source of IP3 at 1 uM reaches one cell for 20 s of each 50 s. Waves leave it both ways, and where they meet they end.
"""

import argparse

import numpy as np

from astro_sim import analysis, simulate
from foundation.pictures import COLOURS, Picture

PERIOD, DUTY, HIGH = 50.0, 0.4, "1 umolar"


def draw(cells, seconds):
    middle = cells // 2
    drive = f"cycles:input=ip3_source,high={HIGH},period={PERIOD} s,duty={DUTY},count={round(seconds / PERIOD)}"
    recording = simulate("astrocyte_network:Stimberg2019", f"{drive},elements={middle}", options={"n_columns": cells},
                         initial={"C": "0 umolar", "h": 0.9, "I": "0 umolar"}, duration=seconds, dt="50 ms",
                         record_every="1 s", method="rk4")
    calcium = recording["C"].values
    figure = Picture(figsize=(7.6, 0.8 + 0.11 * max(cells, 20)), layout="constrained")
    axis = figure.subplots()
    for k in range(cells):
        axis.plot(recording.time, k + calcium[:, k] / calcium.max(), lw=0.7,
                  color=COLOURS[0] if k == middle else "black", label="driven" if k == middle else None)
    axis.set(xlabel="time (s)", ylabel="astrocyte (calcium over its largest)", xlim=(0, seconds))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.08))
    reached = (calcium > 0.4).any(axis=0)
    rises = {k: len(analysis.crossings(recording, "C", k, level=0.4)) for k in (middle, (middle + cells // 2) % cells)}
    print(f"{reached.sum()} of {cells} astrocytes rise above 0.4 uM; the driven one {rises.pop(middle)} times in "
          f"{seconds:g} s, the one farthest away {sum(rises.values())} times")
    speeds = [abs(np.subtract(*[analysis.crossings(recording, "C", middle + k, level=0.4)[0] for k in ends]))
              for ends in ((2, 1), (5, 1)) if reached[[middle + k for k in ends]].all()]
    print("the first wave takes " + " and ".join(f"{speed:.1f} s" for speed in speeds) + " for one cell and for four")
    return figure


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--out", default="figure_5.png", help="the picture")
    asked.add_argument("--small", action="store_true", help="twelve cells for 100 s, as a test")
    given = asked.parse_args()
    draw(*(12, 100.0) if given.small else (50, 4000.0)).savefig(given.out, dpi=110)
