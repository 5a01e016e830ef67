"""Spiking neurons whose excitatory synapses belong to a sheet of astrocytes: the model and its wiring."""
