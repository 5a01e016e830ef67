"""Least squares of the simulator and of the derivation: intervals, doubts, and what cannot be told from data."""
