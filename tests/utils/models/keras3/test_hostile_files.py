"""Files of Keras 3 that try to run code, to read other files, or to take all memory and time: one line each.

Whoever succeeds makes a file, the marker.
"""

from __future__ import annotations

import base64
import json
import marshal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pocketflow.utils.models.files import load_model
from tests.utils.models.conftest import Config, Parts, by_name, edited, refused, with_weights, zipped

Change = Callable[[Config, str], Any]


@pytest.fixture(scope='module')
def parts(keras3_folder) -> Parts:
    """Those of a small functional model of the layers `in`, `one`, `multiply`, `norm`, `get_item`, `add` and `two`."""
    with zipfile.ZipFile(keras3_folder / 'small.keras') as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tensor(layer: str = 'add', call: int = 0) -> Config:
    history = {'shape': [None, 4], 'dtype': 'float32', 'keras_history': [layer, call, 0]}
    return {'class_name': '__keras_tensor__', 'config': history}


def last(**values: Any) -> Change:
    """Replaces parts of the last layer; texts may name the marker."""

    def change(model: Config, marker: str) -> None:
        by_name(model)['two'].update(json.loads(json.dumps(values).replace('MARKER', marker)))

    return change


def setting(**values: Any) -> Change:
    def change(model: Config, marker: str) -> None:
        by_name(model)['two']['config'].update(json.loads(json.dumps(values).replace('MARKER', marker)))

    return change


def operation(
    name: str, *args: Any, module: str = 'keras.src.ops.numpy', inputs: Any = None, **settings: Any
) -> Change:
    """Puts a function of Keras in place of the last layer."""
    return last(
        module=module,
        class_name=name,
        registered_name=name,
        config={'name': 'two', **settings},
        inbound_nodes=[{'args': [tensor() if inputs is None else inputs, *args], 'kwargs': {}}],
    )


def code(marker: str) -> Config:
    """A function as Keras 3 stores one: marshalled."""
    text = f"lambda x: (__import__('pathlib').Path({marker!r}).touch(), x)[1]"
    content = base64.b64encode(marshal.dumps(eval(text).__code__)).decode()
    return {'class_name': '__lambda__', 'config': {'code': content, 'defaults': None, 'closure': None}}


def with_lambda(model: Config, marker: str) -> None:
    config = {'name': 'two', 'trainable': True, 'dtype': 'float32', 'function': code(marker), 'arguments': {}}
    by_name(model)['two'].update(module='keras.layers', class_name='Lambda', config=config)


def lambda_as_activation(model: Config, marker: str) -> None:
    by_name(model)['one']['config']['activation'] = code(marker)


def lambda_in_a_call(model: Config, marker: str) -> None:
    by_name(model)['two']['inbound_nodes'][0]['kwargs'] = {'training': code(marker)}


def wrapped(model: Config, marker: str) -> None:
    inner = {'module': 'keras.layers', 'class_name': 'Lambda', 'registered_name': None}
    inner['config'] = {'name': 'inner', 'trainable': True, 'function': code(marker)}
    config = {'name': 'two', 'trainable': True, 'dtype': 'float32', 'layer': inner}
    by_name(model)['two'].update(module='keras.layers', class_name='TimeDistributed', config=config)


def nested(model: Config, marker: str) -> None:
    """Models in models, each of which calls the one inside twice: 2^20 calls of the innermost layer."""
    inner = {'module': 'keras.layers', 'class_name': 'ReLU', 'registered_name': None}
    inner['config'] = {'name': 'm0', 'trainable': True}
    for level in range(1, 21):
        first = {'module': 'keras.layers', 'class_name': 'InputLayer', 'registered_name': None, 'inbound_nodes': []}
        first |= {'name': f'i{level}', 'config': {'name': f'i{level}', 'batch_shape': [None, 4], 'dtype': 'float32'}}
        calls = [{'args': [tensor(f'i{level}')], 'kwargs': {}}, {'args': [tensor(f'm{level - 1}')], 'kwargs': {}}]
        inner |= {'name': f'm{level - 1}', 'inbound_nodes': calls}
        last = [f'm{level - 1}', 2 if level > 1 else 1, 0]
        config = {'name': f'm{level}', 'trainable': True, 'layers': [first, inner]}
        config |= {'input_layers': [f'i{level}', 0, 0], 'output_layers': last}
        inner = {'module': 'keras.src.models.functional', 'class_name': 'Functional', 'registered_name': 'Functional'}
        inner['config'] = config
    by_name(model)['two'].update({**inner, 'config': {**inner['config'], 'name': 'two'}})


def many_layers(model: Config, marker: str) -> None:
    relu = {'module': 'keras.layers', 'class_name': 'ReLU', 'registered_name': None, 'inbound_nodes': []}
    model['config']['layers'] += [
        {**relu, 'name': f'r{place}', 'config': {'name': f'r{place}', 'trainable': True}} for place in range(9000)
    ]


def deep(model: Config, marker: str) -> None:
    inside: Any = 1
    for _ in range(300):
        inside = [inside]
    by_name(model)['two']['inbound_nodes'][0]['args'].append(inside)


ARCHITECTURES: dict[str, tuple[Change, str]] = {
    'Lambda': (with_lambda, 'has a Lambda layer, which holds code; .* registered layer'),
    'lambda as an activation': (lambda_as_activation, 'has the activation .* which is not of Keras'),
    'lambda in a call': (lambda_in_a_call, "calls a layer with a '__lambda__', which is not accepted"),
    'wrapped Lambda': (wrapped, 'has a Lambda layer, which holds code'),
    'function of a module': (
        setting(activation={'module': 'os', 'class_name': 'function', 'config': 'mkdir', 'registered_name': 'mkdir'}),
        "has the activation 'mkdir' of 'os', which is not of Keras",
    ),
    'class of a module': (last(module='subprocess', class_name='Popen'), "needs the class 'Popen', which is no layer"),
    'class that calls itself Keras': (
        last(module='keras.src.utils.file_utils', class_name='get_file'),
        'has a get_file layer, which Keras 2 does not have',
    ),
    'another file': (
        last(module='keras.layers', class_name='TFSMLayer', config={'name': 'two', 'filepath': 'MARKER'}),
        'has a TFSMLayer layer, which loads another file',
    ),
    'vocabulary': (
        last(module='keras.layers', class_name='StringLookup', config={'name': 'two', 'vocabulary': '/etc/passwd'}),
        'has a StringLookup layer, which may load a vocabulary file',
    ),
    'loop': (operation('WhileLoop', module='keras.src.ops.core'), "calls the function 'WhileLoop' of Keras 3"),
    'map': (operation('Map', code('x'), module='keras.src.ops.core'), "with a '__lambda__', which is not accepted"),
    'unknown operation': (operation('Popen', module='keras.src.ops.subprocess'), "calls the function 'Popen' of Keras"),
    'unknown setting': (operation('Mean', path='MARKER'), "settings of operation 'two' .Mean. are not known"),
    'constants': (operation('Exp', inputs=5.0), 'on constants alone'),
    'large tensor': (operation('BroadcastTo', shape=[2**14, 2**14, 4]), 'works on a tensor of shape'),
    'parts': (operation('Split', indices_or_sections=2**20, axis=1), 'has a value of the sections that is not known'),
    'huge integer': (operation('Repeat', repeats=2**60, axis=1), 'has the number 1152921504606846976; sizes up to'),
    'huge layer': (setting(units=2**23), 'its layers need more than the'),
    'size of a setting': (setting(units=2**40), 'says units=1099511627776; sizes up to'),
    'initializer': (
        setting(kernel_regularizer={'module': 'os', 'class_name': 'mkdir', 'config': {'path': 'MARKER'}}),
        "needs 'mkdir' of 'os', which is no layer",
    ),
    'type': (setting(dtype={'module': 'os', 'class_name': 'mkdir', 'config': {'name': 'MARKER'}}), 'has the type'),
    'quantized': (
        setting(quantization_config={'class_name': 'Int8QuantizationConfig', 'config': {}}),
        'has quantization_config=.* which Keras 2 does not have',
    ),
    'nested models': (nested, 'its layers are called more than 500 times'),
    'many layers': (many_layers, 'has more than 8192 layers'),
    'deep': (deep, 'is nested more than 200 deep'),
    'ring': (
        last(inbound_nodes=[{'args': [tensor('two')], 'kwargs': {}}]),
        'a layer is called on something that no layer makes',
    ),
    'nowhere': (
        last(inbound_nodes=[{'args': [tensor('nowhere')], 'kwargs': {}}]),
        "output of 'nowhere', which does not",
    ),
    'another call': (last(inbound_nodes=[{'args': [tensor('add', 7)], 'kwargs': {}}]), 'that no layer makes'),
    'subclassed': (lambda model, marker: model.update(class_name='Mine', module='mine'), 'not that of a functional'),
}


pytestmark = pytest.mark.usefixtures('few_calls')


@pytest.mark.parametrize('kind', ARCHITECTURES)
def test_an_architecture_is_refused(tmp_path, parts, kind):
    change, message = ARCHITECTURES[kind]
    refused(tmp_path, lambda path, marker: zipped(path, edited(parts, lambda model: change(model, marker))), message)


def whole(path: Path, parts: Parts, change: Callable[[Config], Any], arrays: Callable[[h5py.File], Any]) -> Path:
    """An `.h5` file as Keras 3 writes it, with other things in it."""
    config = json.loads(edited(parts, change)['config.json'])
    for layer in config['config']['layers']:
        layer.pop('module', None), layer.pop('registered_name', None)
    with h5py.File(path, 'w') as file:
        file.attrs['model_config'] = json.dumps({'class_name': 'Functional', 'config': config['config']})
        file.attrs['keras_version'] = '3.15.1'
        group = file.create_group('model_weights')
        for name, shapes in {'one': [(4, 4), (4,)], 'norm': [(4,)] * 4, 'two': [(4, 2), (2,)]}.items():
            names = [f'{name}/{place}' for place in range(len(shapes))]
            group.create_group(name).attrs['weight_names'] = names
            for weight, shape in zip(names, shapes, strict=True):
                group[name][weight] = np.ones(shape, np.float32)
        arrays(group)
    return path


NOTHING = (lambda model: None), (lambda group: None)
WHOLE: dict[str, tuple[Callable[[Config], Any], Callable[[h5py.Group], Any], str]] = {
    'Lambda': (lambda model: with_lambda(model, 'x'), NOTHING[1], 'has a Lambda layer'),
    'operation': (lambda model: operation('WhileLoop')(model, 'x'), NOTHING[1], "function 'WhileLoop' of Keras 3"),
    'external link': (
        NOTHING[0],
        lambda group: group.update(x=h5py.ExternalLink('/etc/passwd', '/x')),
        "'x' in it points elsewhere",
    ),
    'missing array': (NOTHING[0], lambda group: group['one'].pop('one/0'), "its array 'one/0' is missing"),
    'missing layer': (NOTHING[0], lambda group: group.pop('two'), "layer 'two' has weights .* file holds none"),
    'one layer more': (NOTHING[0], lambda group: group.move('norm', 'other'), "'norm' has weights of the shapes"),
    'texts': (NOTHING[0], lambda group: group['one'].update(x=['text']), "array 'x' is not numeric"),
    'names': (
        NOTHING[0],
        lambda group: group['two'].attrs.update(weight_names=['../one/one/0', '/etc/passwd']),
        'is missing|points elsewhere|for it',
    ),
}


@pytest.mark.parametrize('kind', WHOLE)
def test_an_h5_file_is_refused(tmp_path, parts, kind):
    change, arrays, message = WHOLE[kind]
    refused(tmp_path, lambda path, marker: whole(path, parts, change, arrays), message, name='model.h5')


def test_the_unchanged_h5_file_is_read(tmp_path, parts):
    assert load_model(whole(tmp_path / 'model.h5', parts, *NOTHING)).count_params() == 46


WEIGHTS: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    'missing': (lambda file: file['layers/dense/vars'].pop('1'), r"'one' has weights of the shapes .* holds \(4, 4\)"),
    'left over': (lambda file: file.update({'layers/other/vars/0': [1.0]}), "no layer .* takes: 'layers/other/vars/0'"),
    'another shape': (
        lambda file: (file['layers/dense/vars'].pop('0'), file.update({'layers/dense/vars/0': np.ones((4, 5))})),
        r'and the file holds \(4, 5\), \(4,\) for it',
    ),
    'external link': (lambda file: file.update(x=h5py.ExternalLink('/etc/passwd', '/x')), "'x' in it points elsewhere"),
    'bomb': (
        lambda file: file.create_dataset('x', (2**34,), 'f4', chunks=(2**20,), compression='gzip'),
        r'its arrays have \d+ bytes and more',
    ),
}


@pytest.mark.parametrize('kind', WEIGHTS)
def test_weights_are_refused(tmp_path, parts, kind):
    change, message = WEIGHTS[kind]
    refused(tmp_path, lambda path, marker: zipped(path, with_weights(parts, change)), message)
