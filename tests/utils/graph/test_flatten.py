from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras.src.engine.functional import Functional

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import copied, flatten, frozen_share, rebuild

layers = keras.layers
SHAPE = (6, 6, 2)
IMAGES = np.random.default_rng(0).normal(size=(5, *SHAPE)).astype(np.float32)


def randomized(model: keras.Model) -> keras.Model:
    """The model with random weights, also where they begin as zeros and ones."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(
            rng.uniform(0.5, 1.5, weight.shape) * np.sign(rng.normal(size=weight.shape))
            if weight.name.split('/')[-1].startswith('kernel')
            else rng.uniform(0.5, 1.5, weight.shape)
        )
    return model


def backbone(name: str = 'base') -> keras.Model:
    inputs = layers.Input(SHAPE)
    features = layers.Conv2D(3, 3, name='conv')(inputs)
    features = layers.BatchNormalization(name='bn')(features)
    return keras.Model(inputs, layers.ReLU(name='relu')(features), name=name)


def with_head(features: keras.KerasTensor | tf.Tensor, inputs: tf.Tensor) -> keras.Model:
    return keras.Model(inputs, layers.Dense(4, name='logits')(layers.Flatten(name='flat')(features)), name='net')


def transfer(base: keras.Model, **arguments: bool) -> keras.Model:
    inputs = layers.Input(SHAPE, name='images')
    return randomized(with_head(base(inputs, **arguments), inputs))


def assert_same(flat: keras.Model, model: keras.Model) -> None:
    assert type(flat) is Functional and not any(isinstance(layer, keras.Model) for layer in flat.layers)
    assert flat.name == model.name and flat.count_params() == model.count_params()
    for training in (False, True):
        before = [copied_weights(flat), copied_weights(model)]
        np.testing.assert_array_equal(flat(IMAGES, training=training), model(IMAGES, training=training))
        for network, weights in zip((flat, model), before, strict=True):
            network.set_weights(weights)  # batch norm moves its statistics
    assert len(flat.trainable_weights) == len(model.trainable_weights)


def copied_weights(model: keras.Model) -> list[np.ndarray]:
    return [weight.copy() for weight in model.get_weights()]


def test_a_flat_model_is_handed_on_as_it_is():
    model = backbone()
    assert flatten(model) is model


def test_a_nested_backbone_becomes_part_of_the_model():
    model = transfer(backbone())
    before = copied_weights(model)
    flat = flatten(model)
    assert [layer.name for layer in flat.layers] == ['images', 'conv', 'bn', 'relu', 'flat', 'logits']
    assert_same(flat, model)
    flat.get_layer('conv').kernel.assign_add(tf.ones_like(flat.get_layer('conv').kernel))
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_inference_mode_of_the_call_reaches_every_layer():
    model = transfer(backbone(), training=False)
    flat = flatten(model)
    assert_same(flat, model)
    before = flat.get_layer('bn').moving_mean.numpy()
    for network in (flat, copied(flat), rebuild(flat, lambda layer, copy: copy)):
        network(IMAGES, training=True)
        np.testing.assert_array_equal(network.get_layer('bn').moving_mean, before)
    other = flatten(transfer(backbone()))
    before = other.get_layer('bn').moving_mean.numpy()
    other(IMAGES, training=True)
    assert np.abs(other.get_layer('bn').moving_mean - before).max() > 0


def test_the_innermost_training_argument_counts():
    inner = backbone('inner')
    inputs = layers.Input(SHAPE)
    features = layers.Dropout(0.5, name='drop')(inner(inputs, training=False))
    outer = keras.Model(inputs, features, name='outer')
    flat = flatten(transfer(outer, training=True))
    arguments = {layer.name: layer.inbound_nodes[0].call_kwargs for layer in flat.layers[1:]}
    assert arguments == {
        'conv': {},
        'bn': {'training': False},
        'relu': {},
        'drop': {'training': True},
        'flat': {},
        'logits': {},
    }


def test_frozen_models_stay_frozen():
    base = backbone()
    base.trainable = False
    flat = flatten(transfer(base))
    assert_same(flat, transfer(base))
    assert {layer.name for layer in flat.layers if not layer.trainable} == {'conv', 'bn', 'relu'}
    assert frozen_share(flat) == (3 * 3 * 2 * 3 + 3 + 6, 57 + 6 + 4 * 48 + 4)


def test_a_single_frozen_layer_stays_frozen():
    base = backbone()
    base.get_layer('conv').trainable = False
    flat = flatten(transfer(base))
    assert [layer.name for layer in flat.layers if not layer.trainable] == ['conv']


def test_layers_that_only_the_model_around_them_freezes_are_frozen():
    base = backbone()
    base.trainable = False
    base.get_layer('conv').trainable = True  # without effect in Keras either
    model = transfer(base)
    flat = flatten(model)
    assert len(flat.trainable_weights) == len(model.trainable_weights) == 2


def test_one_model_at_two_places_keeps_one_set_of_weights():
    base = backbone()
    inputs = layers.Input(SHAPE, name='images')
    features = layers.Add(name='add')([base(inputs), base(layers.ReLU(name='first')(inputs))])
    model = randomized(with_head(features, inputs))
    flat = flatten(model)
    assert_same(flat, model)
    assert len(flat.get_layer('conv').inbound_nodes) == 2


def test_names_that_collide_get_those_of_their_models_in_front():
    inputs = layers.Input(SHAPE, name='images')
    features = layers.Conv2D(2, 1, name='conv')(inputs)
    features = layers.Add(name='add')([backbone('left')(features), backbone('right')(features)])
    model = randomized(with_head(features, inputs))
    flat = flatten(model)
    assert {layer.name for layer in flat.layers} == {
        'images',
        'conv',
        'left_conv',
        'right_conv',
        'bn',
        'right_bn',
        'relu',
        'right_relu',
        'add',
        'flat',
        'logits',
    }
    assert_same(flat, model)


def test_sequential_models_become_functional():
    base = keras.Sequential([layers.Conv2D(3, 3), layers.BatchNormalization()])
    model = randomized(
        keras.Sequential(
            [
                layers.Input(SHAPE),
                layers.Rescaling(2.0),
                base,
                backbone_of(3),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4),
            ],
            name='net',
        )
    )
    assert_same(flatten(model), model)


def backbone_of(channels: int) -> keras.Model:
    inputs = layers.Input((None, None, channels))
    return keras.Model(inputs, layers.Conv2D(2, 1)(inputs))


def test_operator_layers_several_inputs_and_outputs():
    first, second = layers.Input(SHAPE), layers.Input(SHAPE)
    total = layers.Conv2D(2, 1)(first * 2.0 + tf.nn.relu6(second + 3.0))
    base = keras.Model({'a': first, 'b': second}, [total[..., :1], total])
    inputs = layers.Input(SHAPE)
    one, both = base({'a': inputs, 'b': layers.ReLU()(inputs)})
    model = randomized(with_head(layers.Concatenate()([one, both]), inputs))
    assert_same(flatten(model), model)


def test_inputs_are_cast_as_keras_casts_them():
    inner = layers.Input(SHAPE, dtype='float32')
    base = keras.Model(inner, layers.Conv2D(2, 1)(inner))
    inputs = layers.Input(SHAPE, dtype='uint8')
    model = with_head(base(inputs), inputs)
    images = np.arange(5 * 72).reshape(5, *SHAPE).astype(np.uint8)
    np.testing.assert_array_equal(flatten(model)(images), model(images))


class Block(keras.Model):
    """A subclassed model."""

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(2, 1)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.conv(inputs)


class Doubled(Functional):
    """A functional model that computes something else than its graph."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        return 2 * super().call(inputs, training, mask)


def test_what_cannot_be_flattened_is_refused():
    inputs = layers.Input(SHAPE)
    block = Block()
    with pytest.raises(UsageError, match=r"model 'block' is a subclassed model \(Block\): .* keras.Model\(inputs"):
        flatten(block)
    with pytest.raises(UsageError, match="model 'net': its layer 'block' is a subclassed model .Block., whose layers"):
        flatten(with_head(block(inputs), inputs))
    with pytest.raises(UsageError, match=r'is a subclassed model \(Doubled\)'):
        flatten(Doubled(inputs, layers.ReLU()(inputs)))
    with pytest.raises(UsageError, match='is a Sequential model that was never built: give .* keras.Input'):
        flatten(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(UsageError, match="nested model 'base' is called with a mask, which cannot be merged"):
        flatten(with_head(backbone()(inputs, mask=inputs > 0), inputs))


@st.composite
def nested_models(draw: st.DrawFn, depth: int = 2) -> keras.Model:
    """Models of convolutions, batch norm, sums and further models, on maps of any size with two channels."""
    inputs = layers.Input((None, None, 2))
    tensors = [inputs]
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(('conv', 'bn', 'add', 'model') if depth else ('conv', 'bn', 'add')))
        tensor = draw(st.sampled_from(tensors))
        if kind == 'conv':
            tensors.append(layers.Conv2D(2, 1, activation='tanh')(tensor))
        elif kind == 'bn':
            tensors.append(layers.BatchNormalization()(tensor))
        elif kind == 'add':
            tensors.append(layers.Add()([tensor, draw(st.sampled_from(tensors))]))
        else:
            nested = draw(nested_models(depth - 1))
            nested.trainable = draw(st.booleans())
            for _ in range(draw(st.integers(1, 2))):
                tensor = nested(tensor, training=draw(st.sampled_from((None, False, True))))
            tensors.append(tensor)
    return keras.Model(inputs, tensors[-1])


@pytest.mark.filterwarnings('ignore:Do not use the `random` module')  # which Keras uses for its initializers
@hypothesis.settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(nested_models())
def test_random_nested_models_compute_the_same(model):
    randomized(model)
    assert_same(flatten(model), model)
