"""Noise of the IP3 receptors makes calcium peaks irregular: intervals of 10 astrocytes, with noise and without."""

import numpy as np

from astro_sim.analysis import peaks
from astro_sim.run.simulation import simulate

for name in ("gchi", "gchi_stochastic"):
    recording = simulate(name, "constant:input=glutamate,value=0.5 umolar", options={"n": 10}, duration="40 s",
                         dt="40 ms", record_every="200 ms", seed=1)
    intervals = np.concatenate([np.diff(peaks(recording, "C", k, after=15)[0]) for k in range(10)])
    print(f"{name:16} {intervals.mean():.2f} s between peaks, deviation {intervals.std():.2f} s")
