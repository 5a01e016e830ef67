"""Models that are ODEs alone, solved by scipy with error control: the model's own text, compiled; inputs; solvers."""
