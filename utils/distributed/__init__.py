"""What workers of one job say to each other."""
