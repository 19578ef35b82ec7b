"""Files of a run directory: writing, validation and reading."""
