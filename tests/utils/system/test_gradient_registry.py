from __future__ import annotations

import gc
import weakref

import tensorflow as tf

from pocketflow.utils.system.gradient_registry import forgotten_gradients


def traced() -> tf.types.experimental.ConcreteFunction:
    """A function whose graph holds a custom gradient."""

    @tf.function
    def slope(values: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = tf.nn.silu(values)
        return tape.gradient(outputs, values)

    return slope.get_concrete_function(tf.TensorSpec([3], tf.float32))


def test_graphs_of_the_block_are_freed():
    with forgotten_gradients():
        slope = traced()
        expected = slope(tf.zeros([3])).numpy().tolist()
        graph = weakref.ref(slope.graph)
    del slope
    gc.collect()
    assert expected == [0.5] * 3 and graph() is None


def test_graphs_from_before_keep_their_gradients():
    @tf.function
    def outputs_of(values: tf.Tensor) -> tf.Tensor:
        return tf.nn.silu(values)

    values = tf.zeros([3])
    outputs_of(values)
    with forgotten_gradients():
        traced()
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = outputs_of(values)
    assert tape.gradient(outputs, values).numpy().tolist() == [0.5] * 3
