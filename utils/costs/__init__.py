"""Costs of layers and operations: multiply-adds, computed from shapes."""
