"""Neurons of one's own in Brian2 and an astrocyte of ours: their spikes make IP3, its calcium excites them."""

import brian2
from brian2 import ms, second, umolar

from astro_sim import attach

brian2.prefs.codegen.target = "numpy"
brian2.defaultclock.dt = 1 * ms
neurons = brian2.NeuronGroup(20, """dv/dt = (drive + calcium/umolar - v)/(50*ms) : 1
                                    calcium : mmolar (linked)
                                    drive : 1 (constant)""", threshold="v > 1", reset="v = 0", method="euler")
neurons.drive = "0.5 + 0.6*i/N"
spikes = brian2.SpikeMonitor(neurons)
network = brian2.Network(neurons, spikes)

# two astrocytes; each takes the spikes of one neuron and excites the ten around it
cell = attach(network, "li_rinzel_driven", options={"n": 2}, spikes={"spikes": (neurons, [9, 19])}, duration="20 s")
neurons.calcium = brian2.linked_var(cell["astrocyte"], "C", index=[0] * 10 + [1] * 10)
network.run(20 * second)

calcium = cell.recording()["C"]  # checked as a run of our own is
print(f"calcium: {calcium.values.min():.3f} to {calcium.values.max():.3f} {calcium.unit}")
print(f"spikes: {spikes.num_spikes}, of neurons that are silent without calcium: "
      f"{int(spikes.count[neurons.drive[:] < 1].sum())}")
