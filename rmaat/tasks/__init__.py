"""What the network learns: one file a task, generators and control rows beside them."""
