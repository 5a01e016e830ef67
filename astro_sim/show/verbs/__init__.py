"""The verbs of the command line, one file for each thing that they are about."""
