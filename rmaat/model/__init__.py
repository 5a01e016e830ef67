"""The network: its config, its blocks, its memory, and the stream through it."""
