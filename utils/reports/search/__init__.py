"""Section of a report on searches."""
