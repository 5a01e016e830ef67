"""Every number of a network that is not learned, followed back to the biology that it comes from."""
