"""The pairing curve of Graupner and Brunel's rule: change of strength by 60 pairs at 1 Hz, in closed form."""

from astro_sim.models import MODELS
from astro_sim.models.graupner_brunel.pairing_curve import change_of_strength, numbers
from astro_sim.run.simulation import simulate

values = numbers(MODELS["graupner_brunel_stochastic"].parameters())
for offset in range(-80, 81, 10):
    change = change_of_strength(values, offset / 1000, period=1.0, count=60)
    print(f"{offset:4} ms  {change:.3f}  " + "#" * round(40 * change))
recording = simulate("graupner_brunel", "pairing:offset=10 ms,count=3,period=0.2 s", duration="0.7 s", dt="0.5 ms")
print(f"three pairs at +10 ms move one synapse from 0 to {recording['rho'].values[-1, 0]:.4f}")
