"""Least squares with profile-likelihood intervals, and rival forms weighed against each other."""
