"""From a plan to Brian2: groups, inputs, coupling, backends and compiled programs."""
