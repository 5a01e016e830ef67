"""What a model says without being simulated: equilibria, bifurcations, limit cycles, nullclines."""
