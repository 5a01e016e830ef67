"""Studies: many runs as one matrix of configs, variants and seeds, and what they say together."""
