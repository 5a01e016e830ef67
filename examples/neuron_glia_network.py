"""A network of neurons and astrocytes: who belongs to whom, and what a release does to one astrocyte's synapses."""

from astro_sim.analysis.spiking import firing_rates
from astro_sim.models.synapse_map import SynapseMap
from astro_sim.run.simulation import simulate

recording = simulate("neuron_glia_network", "spikes:input=release,times=0s,elements=5",
                     options={"loop": "open", "synapse_spread": 0.3}, duration="1 s", dt="1 ms", seed=1)
belongs = SynapseMap.of_recording(recording)
print(belongs.describe())
for kind, found in firing_rates(recording).items():
    print(f"{kind}: {found['neurons']} neurons, {found['mean_hertz']:.1f} Hz")
own = belongs.astrocytes == 5
for name, chosen in (("astrocyte 5", own), ("the others", ~own)):
    print(f"synapses of {name}: released by the last spike {recording['r_S'].values[-1, chosen].mean():.2f}")
