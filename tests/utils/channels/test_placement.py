"""Where selections stand: what each network costs is worked out by hand."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.utils.channels import channel_counts
from pocketflow.utils.costs.cost_model import total_macs

layers = keras.layers


def conv(filters: int, name: str, size: int = 1, **options):
    return layers.Conv2D(filters, size, padding='same', name=name, **options)


def whole_and_read(build, size: int = 4) -> keras.Model:
    """The six channels of `stem` are a result of the model, and so all stay; `build` adds readers."""
    inputs = keras.Input((size, size, 3))
    x = conv(6, 'stem')(inputs)
    return keras.Model(inputs, [x, build(x)])


def test_after_the_pooling_a_selection_costs_a_quarter(removed, selects):
    model = whole_and_read(lambda x: conv(8, 'reader', 3)(layers.MaxPooling2D(name='pool')(x)))
    smaller = removed(model, {'reader': [0, 2]})
    assert selects(smaller) == ['reader_select']
    assert total_macs(smaller) == 16 * 3 * 6 + 4 * (6 * 2 + 9 * 2 * 8)


def test_before_an_upsampling_a_selection_costs_a_quarter(removed, selects):
    model = whole_and_read(lambda x: conv(8, 'reader', 3)(layers.UpSampling2D(name='up')(x)))
    smaller = removed(model, {'reader': [0, 2]})
    assert selects(smaller) == ['up_select']
    assert total_macs(smaller) == 16 * 3 * 6 + 16 * 6 * 2 + 64 * 9 * 2 * 8


def test_a_vector_is_selected_for_nothing(removed, selects):
    model = whole_and_read(lambda x: layers.Dense(8, name='reader')(layers.GlobalAveragePooling2D(name='pool')(x)))
    smaller = removed(model, {'reader': [0, 2]})
    assert selects(smaller) == ['reader_select'] and total_macs(smaller) == 16 * 3 * 6 + 2 * 8


def test_before_a_depthwise_convolution_a_selection_saves_that_too(removed, selects):
    model = whole_and_read(lambda x: conv(8, 'reader')(layers.DepthwiseConv2D(3, padding='same', name='deep')(x)))
    smaller = removed(model, {'reader': [0, 2]})
    assert selects(smaller) == ['deep_select']
    assert total_macs(smaller) == 16 * (3 * 6 + 6 * 2 + 9 * 2 + 2 * 8)


def test_a_depthwise_convolution_with_a_stride_is_cheap_before_its_selection(removed, selects):
    deep = layers.DepthwiseConv2D(2, strides=4, name='deep')
    model = whole_and_read(lambda x: conv(8, 'reader', 3)(deep(x)))
    smaller = removed(model, {'reader': [0, 2]})
    assert selects(smaller) == ['reader_select']
    assert total_macs(smaller) == 16 * 3 * 6 + 4 * 6 + 6 * 2 + 9 * 2 * 8


@pytest.mark.parametrize(('filters', 'taken'), [(2, 6), (3, 6), (4, 2)])
def test_a_reader_with_few_filters_reads_zeros(removed, selects, filters, taken):
    # Selecting two of six channels takes 6 * 2 at each place, reading four more 4 * filters.
    model = whole_and_read(lambda x: conv(filters, 'reader')(layers.ReLU(name='relu')(x)))
    smaller = removed(model, {'reader': [0, 2]})
    assert selects(smaller) == ([] if taken == 6 else ['relu_select'])
    assert channel_counts(model, {'reader': [0, 2]})['reader'].inputs_after == taken
    kernel = smaller.get_layer('reader').kernel.numpy()
    assert kernel.shape[2] == taken and (kernel != 0).any(axis=(0, 1, 3)).sum() == 2


def test_three_readers_of_a_residual_stream(removed, selects):
    inputs = keras.Input((4, 4, 3))
    x = conv(8, 'stem')(inputs)
    for block in 'abc':
        x = layers.Add()([x, conv(8, f'{block}2')(conv(2, f'{block}1')(x))])
    model = keras.Model(inputs, conv(4, 'head')(x))
    same = {name: [0, 3, 4, 7] for name in ('a1', 'b1', 'c1', 'head')}
    shared = removed(model, same)
    assert selects(shared) == []
    assert total_macs(shared) == 16 * (3 * 4 + 3 * (4 * 2 + 2 * 4) + 4 * 4)
    # Other channels for each: the stream keeps all, and no reader has enough filters for a selection to pay.
    other = {'a1': [0, 1, 2, 3], 'b1': [2, 3, 4, 5], 'c1': [4, 5, 6, 7], 'head': [0, 1, 6, 7]}
    each = removed(model, other)
    assert selects(each) == [] and total_macs(each) == total_macs(model)


def test_a_dense_block_with_one_set_needs_no_selection(removed, selects):
    inputs = keras.Input((4, 4, 3))
    x = conv(4, 'stem')(inputs)
    for name in 'ab':
        x = layers.Concatenate(name=f'join_{name}')([x, conv(2, name)(layers.ReLU()(layers.BatchNormalization()(x)))])
    model = keras.Model(inputs, conv(4, 'head')(x))
    smaller = removed(model, {'a': [0, 2], 'b': [0, 2, 5], 'head': [0, 2, 5, 6]})
    assert selects(smaller) == []
    assert total_macs(smaller) == 16 * (3 * 2 + 2 * 1 + 3 * 1 + 4 * 4)


def test_a_concatenation_may_hold_more_than_is_read(removed, selects):
    inputs = keras.Input((4, 4, 3))
    x = conv(6, 'stem')(inputs)
    joined = layers.Concatenate(name='join')([x, conv(2, 'other')(inputs)])
    model = keras.Model(inputs, [x, conv(1, 'reader')(joined)])
    smaller = removed(model, {'reader': [0, 6, 7]})
    assert selects(smaller) == [] and total_macs(smaller) == total_macs(model)


def test_squeeze_and_excite_with_one_set(removed, selects):
    inputs = keras.Input((4, 4, 3))
    x = conv(6, 'stem')(inputs)
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = conv(6, 'up', activation='sigmoid')(conv(2, 'down', activation='relu')(y))
    model = keras.Model(inputs, conv(4, 'head')(layers.Multiply()([x, y])))
    smaller = removed(model, {'down': [1, 4], 'head': [1, 4]})
    assert selects(smaller) == []
    assert total_macs(smaller) == 16 * 3 * 2 + 2 * 2 + 2 * 2 + 16 * 2 * 4


def test_a_separable_and_a_transposed_reader(removed, selects):
    separable = whole_and_read(lambda x: layers.SeparableConv2D(8, 3, padding='same', name='reader')(x))
    smaller = removed(separable, {'reader': [0, 2]})
    assert selects(smaller) == ['reader_select']
    assert total_macs(smaller) == 16 * (3 * 6 + 6 * 2 + 9 * 2 + 2 * 8)
    transposed = whole_and_read(lambda x: layers.Conv2DTranspose(8, 2, strides=2, name='reader')(x))
    smaller = removed(transposed, {'reader': [0, 2]})
    assert selects(smaller) == ['reader_select']
    assert total_macs(smaller) == 16 * (3 * 6 + 6 * 2 + 4 * 2 * 8)


def test_operators_pass_channels_on(removed, selects):
    inputs = keras.Input((4, 4, 3))
    x = conv(6, 'stem')(inputs)
    x = x * (layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0))
    smaller = removed(keras.Model(inputs, conv(4, 'head')(1.0 - x)), {'head': [0, 5]})
    assert selects(smaller) == [] and total_macs(smaller) == 16 * (3 * 2 + 2 * 4)


def test_sizes_that_are_unknown_are_no_obstacle(removed, selects):
    inputs = keras.Input((None, None, 3))
    x = conv(6, 'stem')(inputs)
    model = keras.Model(inputs, [layers.GlobalMaxPooling2D()(x), layers.GlobalMaxPooling2D()(conv(2, 'reader')(x))])
    graph_counts = channel_counts(model, {'reader': [0, 2]})
    assert graph_counts['reader'].inputs_after == 6


@pytest.mark.parametrize(('read', 'taken'), [([0, 3], 2), ([0, 1, 3], 4), ([0], 2), ([0, 1, 2], 6)])
def test_a_grouped_convolution_takes_as_many_of_each_group(removed, selects, read, taken):
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, conv(4, 'reader', 3, groups=2)(conv(6, 'stem')(inputs)))
    smaller = removed(model, {'reader': read})
    assert selects(smaller) == []
    kernel = smaller.get_layer('reader').kernel
    assert kernel.shape == (3, 3, taken // 2, 4)
    assert total_macs(smaller) == 16 * (3 * taken + 9 * (taken // 2) * 4)


@pytest.mark.parametrize(('read', 'made'), [([0, 3], 2), ([0, 1, 3, 5], 4), ([0], 2), ([0, 1, 2], 6)])
def test_a_grouped_convolution_makes_as_many_of_each_group(removed, selects, read, made):
    inputs = keras.Input((4, 4, 3))
    x = layers.ReLU()(layers.BatchNormalization()(conv(6, 'grouped', 3, groups=2)(conv(4, 'stem')(inputs))))
    smaller = removed(keras.Model(inputs, conv(1, 'reader')(x)), {'reader': read})
    assert smaller.get_layer('grouped').kernel.shape == (3, 3, 2, made)
    # Unread channels pass the layers in between, which cost nothing, and have zero weights in the reader.
    assert selects(smaller) == [] and total_macs(smaller) == 16 * (3 * 4 + 9 * 2 * made + made)


def test_a_grouped_reader_of_a_stream_that_stays_selects(removed, selects):
    model = whole_and_read(lambda x: conv(8, 'reader', 3, groups=2)(x))
    smaller = removed(model, {'reader': [0, 4]})
    assert selects(smaller) == ['reader_select']
    assert total_macs(smaller) == 16 * (3 * 6 + 6 * 2 + 9 * 1 * 8)
