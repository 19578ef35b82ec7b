"""TensorFlow's profiler on networks whose multiply-adds are plain."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.utils.costs.profiler import profiled_macs

layers = keras.layers


def test_products_and_convolutions_are_counted_and_nothing_else():
    inputs = keras.Input((6, 6, 4))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, groups=2, use_bias=True)(inputs)))
    x = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3)(x))
    macs = 4 * 4 * 9 * 2 * 8 + 2 * 2 * 9 * 8 + 8 * 3
    assert profiled_macs(keras.Model(inputs, layers.Dense(3, activation='softmax')(x))) == macs


def test_several_inputs_by_name():
    inputs = {'a': keras.Input((3,), name='a'), 'b': keras.Input((5,), name='b')}
    outputs = layers.Concatenate()([layers.Dense(2)(inputs['a']), layers.Dense(4)(inputs['b'])])
    assert profiled_macs(keras.Model(inputs, outputs)) == 3 * 2 + 5 * 4
