"""Neurons of one's own in Brian2 and two astrocytes of ours: spikes make IP3, calcium excites the neurons around it."""

import brian2

from astro_sim import attach

brian2.prefs.codegen.target = "numpy"
neurons = brian2.NeuronGroup(20, """dv/dt = (drive + calcium/umolar - v)/(50*ms) : 1
                                    calcium : mmolar (linked)
                                    drive : 1 (constant)""", threshold="v > 1", reset="v = 0", method="euler",
                             dt=2 * brian2.ms)
neurons.drive = "0.5 + 0.6*i/N"  # the last three spike by themselves
spikes = brian2.SpikeMonitor(neurons)
network = brian2.Network(neurons, spikes)
cell = attach(network, "li_rinzel_driven", options={"n": 2}, spikes={"spikes": (neurons, [9, 19])}, dt="2 ms")
neurons.calcium = brian2.linked_var(cell["astrocyte"], "C", index=[0] * 10 + [1] * 10)
network.run(20 * brian2.second)
calcium = cell.recording()["C"]  # checked as a run of ours is
print(f"calcium: {calcium.values.min():.3f} to {calcium.values.max():.3f} {calcium.unit}")
print(f"{spikes.num_spikes} spikes, {spikes.count[:17].sum()} of them of neurons that are silent without calcium")
