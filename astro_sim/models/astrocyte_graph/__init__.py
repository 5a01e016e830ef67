"""Astrocytes in a plane or in space whose gap junctions are a graph of a chosen kind: the model and its graphs."""
