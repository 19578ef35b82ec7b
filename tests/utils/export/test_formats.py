"""Formats by name: which converter and which encodings they go to."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.formats import Source, file_name, formats, weight_bits
from pocketflow.utils.quantization import BucketQuantizer
from pocketflow.utils.quantization.encoding import Buckets

KERNEL = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def encoding(quantizer):
    layer = keras.layers.Layer()
    quantizer.build(layer.add_weight, KERNEL.shape)
    return quantizer.encode(KERNEL)


@pytest.fixture(scope='module')
def model() -> keras.Model:
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(4, name='dense')(inputs), name='net')


def test_names_of_files():
    assert [file_name(name) for name in ('int8', 'pfz', 'mixed')] == [
        'model_int8.tflite',
        'model.pfz',
        'model_mixed.tflite',
    ]
    assert set(formats) == {'float32', 'float16', 'dynamic', 'int8', 'mixed', 'pfz'}


def test_only_symmetric_grids_per_channel_of_few_bits_are_for_tflite():
    channel = Buckets('channel')
    encodings = {
        'symmetric': encoding(BucketQuantizer(4, channel, symmetric=True)),
        'asymmetric': encoding(BucketQuantizer(4, channel)),
        'one bucket': encoding(BucketQuantizer(4, Buckets(), symmetric=True)),
        'many bits': encoding(BucketQuantizer(9, channel, symmetric=True)),
    }
    assert weight_bits(encodings) == {'symmetric': 4}


def test_mixed_wants_such_a_kernel(model):
    with pytest.raises(PocketFlowError, match="model 'net' cannot be exported as mixed: no kernel of it is on a grid"):
        Source(model).content('mixed')


def test_the_converter_gets_model_format_and_calibration_and_the_file_is_tried(model):
    asked, tried = [], []

    def convert(*arguments):
        asked.append(arguments)
        return b'file'

    source = Source(model, calibration=KERNEL, convert=convert, try_out=lambda *arguments: tried.append(arguments))
    assert source.content('float16') == b'file'
    assert asked == [(model, 'float16', KERNEL)] and tried == [('float16', b'file')]
    assert source.content('pfz')[:3] == b'PFZ' and len(tried) == 1  # which LiteRT does not run


def test_a_file_that_cannot_be_run_is_refused(model):
    def refuse(file_format, content):
        raise PocketFlowError('crashes')

    with pytest.raises(PocketFlowError, match='crashes'):
        Source(model, convert=lambda *arguments: b'', try_out=refuse).content('float32')
