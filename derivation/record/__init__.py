"""The record: the one small file that travels to the network, and the only room that rmaat may enter."""
