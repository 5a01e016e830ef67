"""Is it so? The record reproduced, perturbed, questioned and shown."""
