"""Sixteen neurons and 256 astrocyte processes recall a pattern from a cue with three wrong signs."""

from astro_sim.analysis import energy
from astro_sim.models.associative_memory import cue, overlaps
from astro_sim.run.simulation import simulate

recording = simulate("associative_memory", initial=cue(pattern=1, flipped=3), duration="30 s", dt="50 ms")
agreement, course = overlaps(recording), energy(recording)
for second in (0, 1, 2, 5, 10, 20, 30):
    at = second * 20
    print(f"{second:2} s: agreement with the patterns " + " ".join(f"{a:+.2f}" for a in agreement[at])
          + f", energy {course[at]:.1f}")
