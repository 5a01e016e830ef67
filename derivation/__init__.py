"""From recordings to the record: closed forms, fits and the one small file that travels to the network."""
