"""TensorFlow's list of gradients, which grows with each graph."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, MutableMapping

from tensorflow.python.framework import ops

CUSTOM_GRADIENT = 'CustomGradient-'
"""Begins the names under which `tf.custom_gradient` registers, once per call in a graph."""


def _registered() -> MutableMapping[str, object]:
    """Gradient functions by name; an empty dictionary where this TensorFlow keeps them elsewhere."""
    registry = getattr(ops, 'gradient_registry', None) or getattr(ops, '_gradient_registry', None)
    return getattr(registry, '_registry', {})


@contextlib.contextmanager
def forgotten_gradients() -> Iterator[None]:
    """Drops the custom gradients of graphs that are made within the block, so that the graphs can be freed.

    `tf.custom_gradient`, and with it `tf.nn.silu` and the quantizers, registers a gradient whenever it is called while
    a graph is traced, and never drops it; the gradient holds the graph. For blocks of which no graph is used
    afterwards, such as one of many trials.
    """
    registered = _registered()
    before = set(registered)
    try:
        yield
    finally:
        for name in [name for name in registered if name.startswith(CUSTOM_GRADIENT) and name not in before]:
            del registered[name]
