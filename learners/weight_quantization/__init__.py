"""Common code of the learners for k-bit weights."""
