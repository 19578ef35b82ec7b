"""Sensitivity curves: quality against the share of channels, and the shares within a budget that follow from them."""
