"""Containers that would take more memory or time than they may: refused before anything is built."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.container import load_container, model_io, pack, unpack
from pocketflow.utils.container.contents import Contents
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.errors import PocketFlowError
from tests.utils.container.samples import assert_same_model, fill
from tests.utils.container.test_fuzz import with_manifest

layers = keras.layers
OPERATION = {
    'module': 'tf_keras.src.layers.core.tf_op_layer',
    'class_name': 'TFOpLambda',
    'registered_name': 'TFOpLambda',
    'name': 'op',
}


def chain(num_layers: int) -> keras.Model:
    inputs = stream = keras.Input((2,), name='images')
    for place in range(num_layers):
        stream = layers.ReLU(name=f'relu_{place}')(stream)
    return keras.Model(inputs, stream, name='chain')


def test_layers_may_be_in_reverse_order():
    model = chain(40)
    contents = model_io.contents_of(model, {})
    reverse = copy.deepcopy(contents.architecture)
    reverse['config']['layers'].reverse()
    assert len(model_io.model_of(Contents(reverse, contents.tensors))[0].layers) == 41


def test_shared_layers_in_reverse_order():
    inputs = keras.Input((4,))
    first, second, stream = layers.Dense(4, name='a'), layers.Dense(4, name='b'), inputs
    for _ in range(5):
        stream = first(second(stream))
    contents = model_io.contents_of(fill(keras.Model(inputs, stream)), {})
    reverse = copy.deepcopy(contents.architecture)
    reverse['config']['layers'].reverse()
    one, two = (
        model_io.model_of(Contents(architecture, contents.tensors))[0]
        for architecture in (contents.architecture, reverse)
    )
    samples = np.eye(4, dtype=np.float32)
    assert {layer.name for layer in one.layers} == {layer.name for layer in two.layers}
    assert one(samples).shape == two(samples).shape


@pytest.mark.parametrize(
    ('function', 'value', 'arguments'),
    [
        ('math.multiply', [1.0, 2.0], {'y': 3.0}),
        ('tile', [1.0], {'multiples': [2**24]}),
        ('linalg.diag', [1.0] * 100, {}),
        ('zeros_like', [[1.0]], {}),
    ],
)
def test_operations_on_constants_are_not_run(function, value, arguments):
    contents = model_io.contents_of(chain(2), {})
    architecture = copy.deepcopy(contents.architecture)
    architecture['config']['layers'].append(
        {
            **OPERATION,
            'config': {'name': 'op', 'function': function, 'dtype': 'float32'},
            'inbound_nodes': [['_CONSTANT_VALUE', -1, value, arguments]],
        }
    )
    with pytest.raises(UnreadableError, match="calls layer 'op' on constants alone; replace it by the constant"):
        model_io.model_of(Contents(architecture, contents.tensors))


def test_a_constant_beside_a_tensor_is_no_bomb():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, (1.0 - inputs) * [1.0, 2.0])
    assert_same_model(model_io.model_of(model_io.contents_of(model, {}))[0], model)


@pytest.mark.parametrize(
    ('dtype', 'form', 'streams'),
    [
        ('float64', 'dense', [['lzma', 2**31, 100]]),
        ('float32', 'delta', [['lzma', 2**28, 50], ['lzma', 0, 50]]),
        ('float64', 'bitmap', [['lzma', 2**25, 50], ['lzma', 0, 50]]),
    ],
)
def test_memory_is_worked_out_with_the_width_of_values_and_all_copies(dtype, form, streams):
    content = pack(keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False)]))

    def change(manifest) -> None:
        manifest['nb_values'] = 2**28
        manifest['tensors'][0].update(shape=[2**14, 2**14], dtype=dtype, form=form, streams=streams)

    forged = with_manifest(content, change)
    with pytest.raises(PocketFlowError, match=r'its tensors would take \d+ bytes of memory; at most 4294967296'):
        unpack(forged)


def test_the_largest_float32_tensor_is_still_permitted():
    content = pack(keras.Sequential([keras.Input((2,)), layers.Dense(2, use_bias=False)]))

    def change(manifest) -> None:
        manifest['nb_values'] = 2**28
        manifest['tensors'][0].update(shape=[2**14, 2**14], streams=[['lzma', 2**30, 100]])

    with pytest.raises(PocketFlowError, match='bytes of tensors where the manifest lists 100'):
        unpack(with_manifest(content, change))


def test_a_container_says_that_a_file_is_none(tmp_path):
    (tmp_path / 'a.pfz').write_bytes(b'text')
    with pytest.raises(PocketFlowError, match='a.pfz is not a readable .pfz container: it does not start like one'):
        load_container(tmp_path / 'a.pfz')
