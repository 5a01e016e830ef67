"""Carry a plan out: estimate, simulate, check, stream to disk, sweep."""
