"""Multiply-adds as counted by TensorFlow's own profiler, to check the cost model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tf_keras as keras

MULTIPLYING = ('.*MatMul.*', '.*Conv.*')
"""Patterns of the operations whose floating-point operations are counted."""


def profiled_macs(model: keras.Model) -> float:
    """Half of the floating-point operations that TensorFlow's profiler finds in products and convolutions.

    The profiler has no formula for Einstein summations and three-dimensional convolutions, and does not look into
    loops.

    Args:
      model: a functional model with inputs of known sizes; it is traced for one sample, not run.
    """
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options = {**options, 'output': 'none', 'account_type_regexes': list(MULTIPLYING)}
    graph = tf.__internal__.FuncGraph('profiled')
    with graph.as_default(), _functions_inlined():
        tensors = [tf.compat.v1.placeholder(tensor.dtype, (1, *tensor.shape[1:])) for tensor in model.inputs]
        model(tf.nest.pack_sequence_as(model.input, tensors), training=False)
        return float(tf.compat.v1.profiler.profile(graph, cmd='op', options=options).total_float_ops) / 2


@contextlib.contextmanager
def _functions_inlined() -> Iterator[None]:
    """Without it, the graph would call grouped convolutions, which Keras compiles, as functions of unknown batch."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
