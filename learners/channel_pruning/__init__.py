"""Common code of the channel pruners: statistics, decisions per stream, re-fit, and removal."""
