"""A calcium wave on a ring of 20 astrocytes, one of which is fed IP3; prints when each one's calcium first rises."""

from astro_sim.analysis import crossings
from astro_sim.run.simulation import simulate

recording = simulate(
    "astrocyte_network",
    "cycles:input=ip3_source,high=1 umolar,period=50 s,duty=0.4,count=4,elements=10",
    options={"layout": "ring", "n_columns": 20}, initial={"h": 0.9}, duration="150 s", dt="100 ms")
for astrocyte in range(20):
    rises = crossings(recording, "C", astrocyte, level=0.4)
    print(f"astrocyte {astrocyte:2}: " + (f"{rises[0]:6.1f} s" if len(rises) else "never"))
