"""Calcium-based long-term plasticity: the model, and its pairing curve in closed form."""
