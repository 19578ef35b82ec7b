"""Choices of channel pruning that the command line needs without TensorFlow."""

CRITERIA = ('lasso', 'obs', 'l1', 'random')
"""Selection criteria: LASSO path, optimal brain surgeon, l1 norm of the weights, random."""
DENSE_LAYERS = ('none', 'hidden', 'all')
"""Which dense layers are pruned; 'hidden': all except those that make an output."""
