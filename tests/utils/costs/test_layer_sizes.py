"""Sums over calls are the costs of the networks that are built."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.channels import reader_channels
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.costs.layer_sizes import LayerSizes, total_cost

layers = keras.layers


def conv(filters: int, name: str, size: int = 3, **options):
    return layers.Conv2D(filters, size, padding='same', use_bias=False, name=name, **options)


def chain() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name='bn')(conv(4, 'one')(inputs))
    x = conv(6, 'two', strides=2)(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(5, name='logits')(layers.GlobalAveragePooling2D()(x)))


def joined() -> keras.Model:
    """A residual stream, a concatenation, a depthwise and a grouped convolution, a layer without a rule."""
    inputs = keras.Input((8, 8, 3))
    stem = conv(8, 'stem')(inputs)
    total = layers.Add()([stem, conv(8, 'b')(layers.ReLU()(conv(6, 'a')(stem)))])
    deep = layers.DepthwiseConv2D(3, padding='same', name='depthwise')(conv(6, 'c', 1)(total))
    wide = layers.Concatenate()([total, deep])
    x = layers.LayerNormalization(name='no_rule')(conv(8, 'grouped', groups=2)(wide))
    return keras.Model(inputs, layers.Dense(5, name='logits')(layers.GlobalAveragePooling2D()(x)))


def test_by_hand():
    sizes = LayerSizes(chain())
    found = {sizes.name(call): counts for call, counts in sizes.of({'two': [0, 2, 3]}).items()}
    assert {name: found[name] for name in ('one', 'bn', 'two', 'logits')} == {
        'one': (3, 3),
        'bn': (3, 3),
        'two': (3, 6),
        'logits': (6, 5),
    }
    kept = sizes.of({'two': [0, 2, 3]})
    assert total_cost(kept, sizes.macs) == 64 * 9 * 3 * 3 + 16 * 9 * 3 * 6 + 6 * 5
    assert total_cost(kept, sizes.parameters) == 9 * 3 * 3 + 4 * 3 + 9 * 3 * 6 + 6 * 5 + 5
    # In the file the batch normalization is one offset per channel.
    assert total_cost(kept, sizes.weight_bytes) == 4 * (9 * 3 * 3 + 3 + 9 * 3 * 6 + 6 * 5 + 5)


@pytest.mark.parametrize('make', [chain, joined])
def test_sums_are_those_of_the_cost_model_for_any_choice(make):
    model, rng = make(), np.random.default_rng(0)
    sizes, readers = LayerSizes(model), reader_channels(model)
    assert total_cost(sizes.of({}), sizes.parameters) == total_parameters(model) == model.count_params()
    for _ in range(6):
        kept = {
            name: np.sort(rng.choice(reader.num_channels, rng.integers(1, reader.num_channels + 1), False)).tolist()
            for name, reader in readers.items()
        }
        found = sizes.of(kept)
        assert total_cost(found, sizes.macs) == total_macs(model, kept)
        assert total_cost(found, sizes.parameters) == total_parameters(model, kept)


def test_a_selection_is_a_convolution_in_the_file():
    model = joined()
    sizes = LayerSizes(model)
    call = next(call for call, _ in sizes.of({'a': [0]}).items() if sizes.name(call) == 'a')
    assert sizes.weight_bytes((call[0], 0), 8, 3) == 4 * 8 * 3 and sizes.name((call[0], 0)) == 'a_select'
    assert sizes.macs((call[0], 0), 8, 3) == 64 * 8 * 3 and sizes.parameters((call[0], 0), 8, 3) == 0
