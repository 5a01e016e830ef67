"""The macro model of the paper: its equations, its pairs of synapses and its energy."""
