from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.abstract_model_helper import weight_decay_loss
from pocketflow.utils.channels import remove_channels
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.quantization import (
    BucketQuantizer,
    CodebookQuantizer,
    QuantizeActivation,
    Quantizer,
    activation_layers,
    activation_ranges,
    codebook_variables,
    excluding,
    quantizable_layers,
    quantized_copy,
    quantized_layers,
    strip_quantization,
    unquantizable_layers,
)
from pocketflow.utils.quantization.encoding import Buckets, kernel_name

layers = keras.layers
MAKERS = [
    lambda: BucketQuantizer(3, Buckets('channel')),
    lambda: BucketQuantizer(3, Buckets('split', 11), True),
    lambda: CodebookQuantizer(3, Buckets('split', 16)),
]


def copy_of(
    model: keras.Model,
    make: Callable[[], Quantizer] = MAKERS[0],
    activation_bits: int = 32,
    images: np.ndarray | None = None,
) -> keras.Model:
    ranges = activation_ranges(model, images) if images is not None else None
    return quantized_copy(model, {layer.name: make() for layer in quantizable_layers(model)}, activation_bits, ranges)


def test_layers_are_found_by_type(net):
    assert [layer.name for layer in quantizable_layers(net)] == ['stem', 'depthwise', 'pointwise', 'hidden', 'logits']
    assert unquantizable_layers(net) == {'separable': 'SeparableConv2D is not quantized'}
    assert [layer.name for layer in activation_layers(net)] == ['relu', 'depthwise', 'pointwise', 'hidden']


def test_subclasses_may_compute_something_else():
    class Flipped(layers.Dense):
        """A dense layer that is none."""

    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name='plain')(Flipped(3, name='flipped')(inputs)))
    assert [layer.name for layer in quantizable_layers(model)] == ['plain']
    assert unquantizable_layers(model) == {'flipped': 'Flipped is not quantized'}


def test_the_copy_has_the_same_names_weights_and_almost_the_same_results(net, images):
    quantized = copy_of(net, lambda: BucketQuantizer(16, Buckets()), 16, images)
    new = [layer.name for layer in quantized.layers if isinstance(layer, QuantizeActivation)]
    assert new == ['relu_quantize', 'depthwise_quantize', 'pointwise_quantize', 'hidden_quantize']
    assert [layer.name for layer in quantized.layers if layer.name not in new] == [layer.name for layer in net.layers]
    np.testing.assert_allclose(quantized(images), net(images), atol=2e-3)
    assert not any(isinstance(layer, QuantizeActivation) for layer in copy_of(net).layers)


@pytest.mark.parametrize('make', MAKERS)
def test_baking_keeps_every_bit(net, images, make):
    quantized = copy_of(net, make, 4, images)
    baked, encodings = strip_quantization(quantized)
    assert list(encodings) == ['stem', 'depthwise', 'pointwise', 'hidden', 'logits']
    for name, encoding in encodings.items():
        layer = baked.get_layer(name)
        assert type(layer) is type(net.get_layer(name)) and layer.get_config() == net.get_layer(name).get_config()
        np.testing.assert_array_equal(getattr(layer, kernel_name(layer)), encoding.decode())
    np.testing.assert_array_equal(baked(images), quantized(images))


def test_quantized_activations_can_be_converted(net, images):
    baked, _ = strip_quantization(copy_of(net, MAKERS[0], 4, images))
    expected = baked(images).numpy()
    results = LiteRtRunner(convert(baked, 'float32')).predict(images)
    # Values that are all but halfway between two points of the grid may go either way.
    assert np.median(np.abs(results - expected)) < 1e-5 and np.abs(results - net(images)).max() < 1


def test_activations_of_32_bits_leave_no_layer_behind(net, images):
    quantized = copy_of(net, activation_bits=8, images=images)
    for layer in quantized.layers:
        if isinstance(layer, QuantizeActivation):
            layer.quantizer.bits.assign(32)
    assert [layer.name for layer in strip_quantization(quantized)[0].layers] == [layer.name for layer in net.layers]


@pytest.mark.parametrize('make', MAKERS)
def test_saved_models_come_back_exactly(net, images, tmp_path, make):
    quantized = copy_of(net, make, 5, images)
    optimizer = keras.optimizers.SGD(0.01)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantized(images, training=True) ** 2)
    optimizer.apply_gradients(
        zip(tape.gradient(loss, quantized.trainable_variables), quantized.trainable_variables, strict=True)
    )
    quantized_layers(quantized)[0].quantizer.bits.assign(2)
    quantized.save(tmp_path / 'model.keras')
    loaded = keras.models.load_model(tmp_path / 'model.keras', compile=False)
    np.testing.assert_array_equal(loaded(images), quantized(images))
    assert int(quantized_layers(loaded)[0].quantizer.bits) == 2
    for one, other in zip(loaded.get_weights(), quantized.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        strip_quantization(loaded)[1].values(), strip_quantization(quantized)[1].values(), strict=True
    ):
        np.testing.assert_array_equal(one.codes, other.codes)


def test_ranges_are_means_over_batches(net, monkeypatch):
    monkeypatch.setattr('pocketflow.utils.quantization.models.BATCH_SIZE', 4)
    images = np.random.default_rng(3).normal(size=(8, 6, 6, 2)).astype(np.float32)
    ranges = activation_ranges(net, images)
    watched = keras.Model(net.input, net.get_layer('depthwise').output)
    outputs = [watched(images[start : start + 4], training=False).numpy() for start in (0, 4)]
    assert ranges['depthwise'] == pytest.approx(
        (np.mean([part.min() for part in outputs]), np.mean([part.max() for part in outputs])), rel=1e-5
    )
    assert ranges['relu'][0] == 0
    relu = copy_of(net, MAKERS[0], 8, images).get_layer('relu_quantize').quantizer
    assert (float(relu.low), float(relu.high)) == pytest.approx(ranges['relu'])


def test_layers_that_are_called_twice(images):
    inputs = keras.Input((6, 6, 2))
    shared = layers.Conv2D(2, 3, padding='same', activation='relu', name='shared')
    model = keras.Model(inputs, layers.Add()([shared(inputs), shared(shared(inputs))]))
    quantized = copy_of(model, lambda: BucketQuantizer(16, Buckets()), 16, images)
    np.testing.assert_allclose(quantized(images), model(images), atol=1e-3)
    assert len(quantized_layers(quantized)) == 1


def test_pruned_models_with_channel_selects(images):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    stem = layers.Conv2D(6, 3, padding='same', name='stem')(inputs)
    branches = [layers.Conv2D(3, 3, name=name)(stem) for name in ('left', 'right')]
    model = remove_channels(keras.Model(inputs, layers.Add()(branches)), {'left': (0, 1, 2), 'right': (1, 4)})
    assert any(isinstance(layer, ChannelSelect) for layer in model.layers)
    quantized = copy_of(model, lambda: BucketQuantizer(16, Buckets()))
    np.testing.assert_allclose(quantized(images), model(images), atol=1e-3)
    np.testing.assert_array_equal(strip_quantization(quantized)[0](images), quantized(images))


def test_a_second_quantization_replaces_the_first(net, images):
    once, _ = strip_quantization(copy_of(net, MAKERS[0], 8, images))
    twice = copy_of(once, MAKERS[0], 4, images)
    bits = [int(layer.quantizer.bits) for layer in twice.layers if isinstance(layer, QuantizeActivation)]
    assert bits == [4] * 4


def test_weight_decay_leaves_code_books_alone(net):
    quantized = copy_of(net, MAKERS[2])
    books = codebook_variables(quantized)
    others = excluding(quantized.trainable_variables, books)
    assert len(books) == 5 and len(others) == len(net.trainable_variables)
    assert float(weight_decay_loss(quantized.trainable_variables)) == pytest.approx(
        float(weight_decay_loss(net.trainable_variables))
    )
    assert float(weight_decay_loss(books)) == 0
