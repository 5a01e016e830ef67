"""The network: attention, memory and gradients that take their numbers from the record and from nowhere else."""
