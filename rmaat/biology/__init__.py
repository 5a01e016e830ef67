"""The record as torch sees it, and where each number of the network comes from."""
