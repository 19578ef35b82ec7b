"""Cleanup of TensorFlow's gradient registry, which grows with each graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, MutableMapping

from tensorflow.python.framework import ops

CUSTOM_GRADIENT = 'CustomGradient-'
"""Prefix of the names under which `tf.custom_gradient` registers, once per call in a graph."""


def _registered() -> MutableMapping[str, object]:
    """Gradient functions by name; an empty dictionary if this TensorFlow version stores them elsewhere."""
    registry = getattr(ops, 'gradient_registry', None) or getattr(ops, '_gradient_registry', None)
    return getattr(registry, '_registry', {})


@contextlib.contextmanager
def forgotten_gradients() -> Iterator[None]:
    """Unregisters the custom gradients of graphs created within the block, so that the graphs can be freed.

    `tf.custom_gradient`, and therefore `tf.nn.silu` and the quantizers, registers a gradient for each call during
    tracing, and never removes it; the gradient references the graph. Use it only for blocks whose graphs are not used
    afterwards, such as one of many trials.
    """
    registered = _registered()
    before = set(registered)
    try:
        yield
    finally:
        for name in [name for name in registered if name.startswith(CUSTOM_GRADIENT) and name not in before]:
            del registered[name]
