"""A model fitted to data: what is free, what was measured, the search, and what came out."""
