"""Selectors: which input channels a layer keeps, one file each."""
