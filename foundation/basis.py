"""How a number of biology came about: the one list of bases, for parameters and for the record's entries."""

# measured in an experiment; fitted to one in its paper; derived from other numbers by this project; stated by a paper
# without more; assumed here, because no paper says
BASES = ("measured", "fitted", "derived", "stated", "assumed")
