"""What a simulation costs, measured as ratios in one run; nothing else imports this room."""
