"""Calcium while IP3 goes slowly up and down again: it begins to oscillate long after the Hopf point is passed."""

from astro_sim.analysis import peaks
from astro_sim.dynamics import hopf_points
from astro_sim.run.simulation import simulate

ramp = "ramp:input=ip3,times=0s+300s+600s,values=0.2umolar+0.8umolar+0.2umolar"
recording = simulate("li_rinzel:AM", ramp, duration="600 s", dt="100 ms", record_every="200 ms")
times, heights = peaks(recording, "C", after=0, prominence=0.1)
for time, height in zip(times, heights, strict=True):
    ip3 = 0.2 + 0.6 * (1 - abs(time - 300) / 300)
    print(f"{time:5.0f} s  IP3 {ip3:.2f} uM  calcium up to {height:.2f} uM")
hopf = hopf_points("li_rinzel:AM", "ip3", low="0.1 umolar", high="1 umolar")
print("Hopf points at " + " and ".join(f"{point:.4f} uM" for point in hopf))
