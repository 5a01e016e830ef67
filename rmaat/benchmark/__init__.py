"""What the network costs in bytes and time, measured: tables, targets, and the verbs that print them."""
