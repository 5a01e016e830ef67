"""What a simulation leaves: arrays with unit labels, on disk and as a picture. Units end here (border 1)."""
