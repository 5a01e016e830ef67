"""Gliotransmission turns depression to facilitation: release by regular trains, before and after one release."""

from astro_sim.models.tripartite.release import regular_train, resting_probability
from astro_sim.run.simulation import simulate

RATES = (1.0, 2.5, 5.0, 12.5)
trains = [f"regular:input=spikes,rate={rate} hertz,count=99,start=0.5 s,elements={k}" for k, rate in enumerate(RATES)]
for released in ([], ["spikes:input=release,times=0s"]):
    recording = simulate("tripartite", trains + released, options={"loop": "open", "n_synapses": len(RATES)},
                         duration="6 s", dt="4 ms")
    bound = recording["Gamma_S"].values[-1, 0]
    for rate, found in zip(RATES, recording["r_S"].values[-1], strict=True):
        wanted = regular_train(resting_probability(0.6, bound, 0.0), rate, 3.33, 2.0)[2]
        print(f"bound {bound:.2f}  {rate:4} Hz  releases {found:.3f} (closed form {wanted:.3f})")
