"""What lies in a run directory, and how it is read again."""
