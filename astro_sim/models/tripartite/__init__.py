"""The tripartite synapse: the model, and its release in closed form."""
