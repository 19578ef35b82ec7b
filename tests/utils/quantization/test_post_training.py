"""What weights are rounded to, and which widths are accepted."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization import BucketQuantizer, CodebookQuantizer
from pocketflow.utils.quantization.encoding import Buckets
from pocketflow.utils.quantization.post_training import WeightFormat, layer_widths, mean_bits

layers = keras.layers


@pytest.fixture(scope='module')
def model() -> keras.Model:
    inputs = layers.Input((4, 4, 2))
    x = layers.DepthwiseConv2D(3, name='depthwise')(layers.Conv2D(3, 3, padding='same', name='conv')(inputs))
    x = layers.Dense(5, name='hidden')(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(2, name='logits')(x), name='net')


@pytest.mark.parametrize(
    ('settings', 'accepted'),
    [({}, (1, 16)), ({'method': 'codebook'}, (1, 8)), ({'symmetric': True, 'bucket': 'channel'}, (2, 8))],
)
def test_each_format_has_its_widths(settings, accepted):
    assert WeightFormat(**settings).bits_range == accepted


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'method': 'linear'}, "method='linear': give one of uniform, codebook"),
        ({'bucket': 1}, 'bucket=1: give layer, channel, or a number of weights from 2 on'),
        ({'bucket': True}, 'bucket=True: give layer'),
        ({'method': 'codebook', 'symmetric': True}, 'symmetric=True: code books have no grid'),
        ({'bucket': 8, 'symmetric': True}, 'bucket=8: symmetric grids are one per output channel'),
    ],
)
def test_formats_that_contradict_themselves_are_refused(settings, message):
    with pytest.raises(UsageError, match=f'^{message}'):
        WeightFormat(**settings)


@pytest.mark.parametrize(
    ('bucket', 'name', 'expected'),
    [
        ('layer', 'hidden', Buckets()),
        ('channel', 'hidden', Buckets('channel')),
        ('channel', 'depthwise', Buckets('channel', num_channel_axes=2)),
        (7, 'hidden', Buckets('split', 7)),
        (10**6, 'hidden', Buckets('split', 2 * 2 * 3 * 5)),  # no longer than the kernel
    ],
)
def test_buckets_of_a_layer(model, bucket, name, expected):
    quantizer = WeightFormat(bucket=bucket).quantizer(model.get_layer(name), 4)
    assert isinstance(quantizer, BucketQuantizer) and quantizer.buckets == expected


def test_code_books_may_grow(model):
    quantizer = WeightFormat('codebook', start='uniform').quantizer(model.get_layer('hidden'), 2, 5)
    assert isinstance(quantizer, CodebookQuantizer) and quantizer.get_config()['max_bits'] == 5


def test_layers_that_are_named_and_those_that_are_not(model):
    assert layer_widths(model, 3, None, (1, 16)) == {'depthwise': 3, 'hidden': 3}
    assert layer_widths(model, 3, ['logits', 'conv'], (1, 16)) == {'conv': 3, 'logits': 3}
    assert layer_widths(model, {'hidden': 2, 'conv': 32}, None, (1, 16)) == {'hidden': 2}


@pytest.mark.parametrize(
    ('bits', 'message'),
    [
        (0, 'bits=0: with these settings, give 1 to 16'),
        (2.5, 'bits=2.5: with these settings, give 1 to 16'),
        ({'hidden': 17}, 'bits=17: with these settings, give 1 to 16'),
        ({'flatten': 3}, "layers names 'flatten', which cannot be quantized"),
        ({'hidden': 32}, "no layer of model 'net' is left to quantize"),
    ],
)
def test_widths_that_are_not_accepted(model, bits, message):
    with pytest.raises(UsageError, match=f'^{message}'):
        layer_widths(model, bits, None, (1, 16))


def test_mean_bits_are_per_weight(model):
    sizes = {name: model.get_layer(name).count_params() for name in ('conv', 'hidden')}
    assert sizes == {'conv': 57, 'hidden': 65}
    assert mean_bits(model, {'conv': 2, 'hidden': 6}) == pytest.approx((2 * 57 + 6 * 65) / (57 + 65))
