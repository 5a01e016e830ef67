"""The entries of the record, one file for each thing that the network takes from biology."""
