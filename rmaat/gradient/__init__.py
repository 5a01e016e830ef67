"""Gradients of any segment recurrence: bptt, checkpointed and amrb. A library of its own: it knows no network."""
