"""The recordings that the derivation rests on, kept by what they are, and where their dimensions end (border 2)."""
