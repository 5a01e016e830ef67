"""An experiment, the loop that trains it, the folder that holds it, and its score."""
