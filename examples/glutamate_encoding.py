"""Glutamate in amplitude (AM) or frequency (FM) of calcium oscillations: prints size and period at four levels."""

from astro_sim.analysis import amplitude, period
from astro_sim.run.simulation import simulate

LEVELS = (0.05, 0.2, 0.5, 2.0)
drives = [f"constant:input=glutamate,value={level} umolar,elements={k}" for k, level in enumerate(LEVELS)]
for name in ("AM", "FM"):
    recording = simulate(f"gchi:{name}", drives, options={"n": len(LEVELS)}, duration="120 s", dt="80 ms")
    for k, level in enumerate(LEVELS):
        low, high = amplitude(recording, "C", k)
        print(f"{name}: glutamate {level:4} uM  size {high - low:.3f} uM  period {period(recording, 'C', k):5.1f} s")
