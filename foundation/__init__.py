"""What all four floors stand on: errors with exit codes, safe files, one look for the command lines."""
