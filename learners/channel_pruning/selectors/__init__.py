"""Criteria that select the input channels that a layer keeps, one file each."""
