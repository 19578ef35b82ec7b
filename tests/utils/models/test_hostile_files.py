"""Architectures that try to run code, to use other files, or to take all memory and time: one line each.

Whoever succeeds makes a file, the marker, or folder of that name.
"""

from __future__ import annotations

import base64
import json
import marshal
from collections.abc import Callable
from typing import Any

import pytest

from pocketflow.utils.models.files import load_model
from tests.utils.models.conftest import Config, by_name, config_of, edited, legacy, refused, whole_hdf5, zipped

Change = Callable[[Config, str], Any]
OPERATIONS = 'tf_keras.src.layers.core.tf_op_layer'
INPUT = ['dense', 0, 0, {}]


def code(marker: str) -> list[Any]:
    """A function as Keras stores one: marshalled, with its default values."""
    text = f"lambda x: (__import__('pathlib').Path({marker!r}).touch(), x)[1]"
    return [base64.b64encode(marshal.dumps(eval(text).__code__)).decode(), None, None]


def a_lambda(marker: str, name: str = 'relu') -> Config:
    return {
        'module': 'keras.layers',
        'class_name': 'Lambda',
        'registered_name': None,
        'config': {
            'name': name,
            'function': code(marker),
            'function_type': 'lambda',
            'module': 'builtins',
            'arguments': {},
            'output_shape': None,
            'output_shape_type': 'raw',
            'output_shape_module': None,
        },
    }


def layer(**config: Any) -> Change:
    """Puts a layer of this configuration in place of the last one; texts may name the marker."""

    def change(model: Config, marker: str) -> None:
        by_name(model)['relu'].update(json.loads(json.dumps(config).replace('MARKER', marker)))

    return change


def calling(function: str, inputs: Any = INPUT, class_name: str = 'TFOpLambda', **arguments: Any) -> Change:
    """Puts a call of a TensorFlow function in place of the last layer."""
    inputs = [*inputs[:3], {**(inputs[3] if len(inputs) > 3 else {}), **arguments}]
    return layer(
        module=OPERATIONS,
        class_name=class_name,
        registered_name=class_name,
        inbound_nodes=[inputs],
        config={'name': 'relu', 'trainable': True, 'dtype': 'float32', 'function': function},
    )


def on_constant(function: str, value: Any, **arguments: Any) -> Change:
    return calling(function, ['_CONSTANT_VALUE', -1, value, {}], **arguments)


def dense(**values: Any) -> Change:
    """Sets values of the dense layer."""

    def change(model: Config, marker: str) -> None:
        by_name(model)['dense']['config'].update(json.loads(json.dumps(values).replace('MARKER', marker)))

    return change


def function(module: str, name: str, registered: str | None = None) -> Config:
    return {'module': module, 'class_name': 'function', 'config': name, 'registered_name': registered or name}


def an_object(module: str, name: str, /, **config: Any) -> Config:
    return {'module': module, 'class_name': name, 'config': config, 'registered_name': None}


def within(wrap: Callable[[Config], Config]) -> Change:
    """Puts a Lambda into something in place of the last layer."""

    def change(model: Config, marker: str) -> None:
        by_name(model)['relu'].update(wrap(a_lambda(marker, 'inner')))

    return change


def a_model(*inside: Config, name: str = 'inner_net') -> Config:
    first = an_object('keras.layers', 'InputLayer', name='inner_images', batch_input_shape=[None, 4], dtype='float32')
    return {
        'module': 'keras',
        'class_name': 'Sequential',
        'registered_name': None,
        'config': {'name': name, 'layers': [first, *inside]},
    }


def doubled(model: Config, marker: str) -> None:
    """Models in models, each of which calls the one inside twice: 2^20 calls of the innermost layer."""
    inner = an_object('keras.layers', 'ReLU', name='m0')
    for level in range(1, 21):
        first = {
            **an_object('keras.layers', 'InputLayer', name=f'i{level}', batch_input_shape=[None, 4], dtype='float32'),
            'name': f'i{level}',
            'inbound_nodes': [],
        }
        offset = int(level > 1)
        inner = {
            **inner,
            'name': f'm{level - 1}',
            'inbound_nodes': [[[f'i{level}', 0, 0, {}]], [[f'm{level - 1}', offset, 0, {}]]],
        }
        inner = {
            'module': 'tf_keras.src.engine.functional',
            'class_name': 'Functional',
            'registered_name': 'Functional',
            'config': {
                'name': f'm{level}',
                'trainable': True,
                'layers': [first, inner],
                'input_layers': [[f'i{level}', 0, 0]],
                'output_layers': [[f'm{level - 1}', offset + 1, 0]],
            },
        }
    by_name(model)['relu'].update({**inner, 'config': {**inner['config'], 'name': 'relu'}})


def deep(model: Config, marker: str) -> None:
    inside: Any = 1
    for _ in range(300):
        inside = [inside]
    by_name(model)['relu']['config']['max_value'] = inside


def many_layers(model: Config, marker: str) -> None:
    model['config']['layers'] += [
        {**an_object('keras.layers', 'ReLU', name=f'r{place}'), 'name': f'r{place}', 'inbound_nodes': []}
        for place in range(9000)
    ]


def before_last(model: Config, *, name: str, module: str = 'keras.layers', **config: Any) -> None:
    """Puts a layer between the dense and the last one; it takes the name `dense`, the dense layer `first`."""
    first, last = by_name(model)['dense'], model['config']['layers'].pop()
    first['name'] = first['config']['name'] = 'first'
    model['config']['layers'] += [
        {**an_object(module, name, name='dense', **config), 'name': 'dense', 'inbound_nodes': [[['first', 0, 0, {}]]]},
        last,
    ]


def square(model: Config) -> None:
    before_last(model, name='Reshape', target_shape=[2, 2, 1])


def lengthened(model: Config) -> None:
    before_last(model, name='RepeatVector', n=2**20)


def unrolled(model: Config, marker: str) -> None:
    lengthened(model)
    by_name(model)['relu'].update(
        an_object('keras.layers', 'SimpleRNN', name='relu', units=1, unroll=True), build_config=None
    )


ARCHITECTURES: dict[str, tuple[Change, str]] = {
    'lambda': (
        lambda model, marker: by_name(model)['relu'].update(a_lambda(marker)),
        "has a Lambda layer, which holds code; .* registered layer .*in layer 'relu'",
    ),
    'write_file': (on_constant('io.write_file', 'MARKER', contents='x'), "function 'io.write_file', which is not acc"),
    'write_file of an input': (calling('io.write_file', filename='MARKER'), "function 'io.write_file', which"),
    'raw_ops': (on_constant('raw_ops.WriteFile', 'MARKER', contents='x'), "function 'raw_ops.WriteFile'"),
    'makedirs': (on_constant('io.gfile.makedirs', 'MARKER'), "function 'io.gfile.makedirs'"),
    'file writer': (on_constant('summary.create_file_writer', 'MARKER'), "function 'summary.create_file_writer'"),
    'save': (on_constant('compat.v1.io.gfile.makedirs', 'MARKER'), "'compat.v1.io.gfile.makedirs'"),
    'print': (on_constant('print', 'text', output_stream='file://MARKER'), "function 'print'"),
    'py_function': (calling('py_function', Tout='float32', func='MARKER'), "function 'py_function'"),
    'numpy_function': (calling('numpy_function', Tout='float32', func='MARKER'), "function 'numpy_function'"),
    'load_op_library': (on_constant('load_op_library', 'MARKER'), "function 'load_op_library'"),
    'os.system': (on_constant('os.system', 'touch MARKER'), "function 'os.system', which is not accepted"),
    'eval': (on_constant('eval', "open('MARKER', 'w')"), "function 'eval', which is not accepted"),
    'get_file': (on_constant('keras.utils.get_file', 'MARKER', origin='file:///etc/hosts'), "'keras.utils.get_file'"),
    'load_model': (on_constant('keras.models.load_model', 'MARKER'), "function 'keras.models.load_model'"),
    'map_fn': (calling('map_fn', fn='MARKER'), "function 'map_fn'"),
    'slicing': (on_constant('io.write_file', 'MARKER', contents='x', class_name='SlicingOpLambda'), 'io.write_file'),
    'function in a list': (
        layer(
            module=OPERATIONS,
            class_name='TFOpLambda',
            registered_name='TFOpLambda',
            config={'name': 'relu', 'function': ['io.write_file']},
        ),
        r"function \['io.write_file'\]",
    ),
    'class method': (
        layer(
            module=OPERATIONS,
            class_name='ClassMethod',
            registered_name='ClassMethod',
            config={'name': 'relu', 'cls_symbol': 'io.TFRecordWriter', 'method_name': '__init__'},
        ),
        "needs 'ClassMethod'",
    ),
    'instance method': (
        layer(
            module=OPERATIONS,
            class_name='InstanceMethod',
            registered_name='InstanceMethod',
            config={'name': 'relu', 'attr_name': 'eval'},
        ),
        "needs 'InstanceMethod'",
    ),
    'class of os': (layer(module='os', class_name='mkdir', config='MARKER'), "needs 'mkdir' of 'os', which is no lay"),
    'Popen': (
        layer(module='subprocess', class_name='Popen', config={'args': ['touch', 'MARKER']}),
        "needs 'Popen' of 'subprocess'",
    ),
    'registered as Keras': (
        layer(module='keras.layers', class_name='ReLU', registered_name='Custom>Evil'),
        "needs 'Custom>Evil' of 'keras.layers', which .* is not registered",
    ),
    'qualified name': (layer(module='keras.layers', class_name='Layer.from_config'), "needs 'Layer.from_config'"),
    'module of Keras': (layer(module='keras.utils', class_name='get_file'), "needs 'get_file' of 'keras.utils'"),
    'no module': (layer(module=None, class_name='ReLU'), "names class 'ReLU' of module None"),
    'own optimizer': (layer(module='keras.optimizers', class_name='SGD'), "needs 'SGD' of 'keras.optimizers'"),
    'TFSMLayer': (
        layer(module='keras.layers', class_name='TFSMLayer', config={'filepath': 'MARKER'}),
        'TFSMLayer layer, which loads another file',
    ),
    'vocabulary': (
        layer(module='keras.layers', class_name='StringLookup', config={'vocabulary': '/etc/passwd'}),
        'StringLookup layer, which may load a vocabulary file',
    ),
    'TimeDistributed': (
        within(lambda inner: an_object('keras.layers', 'TimeDistributed', name='relu', layer=inner)),
        "Lambda layer, which holds code.*in layer 'inner'",
    ),
    'Bidirectional': (
        within(lambda inner: an_object('keras.layers', 'Bidirectional', name='relu', layer=inner)),
        "Lambda layer, which holds code.*in layer 'inner'",
    ),
    'cell': (within(lambda inner: an_object('keras.layers', 'RNN', name='relu', cell=inner)), 'Lambda layer'),
    'nested model': (within(a_model), "Lambda layer, which holds code.*in layer 'inner'"),
    'model in a wrapper': (
        within(lambda inner: an_object('keras.layers', 'TimeDistributed', name='relu', layer=a_model(inner))),
        'Lambda layer, which holds code',
    ),
    'own wrapper': (
        within(
            lambda inner: {
                'module': 'pocketflow.utils.quantization.int8.wrappers',
                'class_name': 'QuantizedLayer',
                'registered_name': 'PocketFlow>QuantizedLayer',
                'config': {'name': 'relu', 'layer': inner, 'simulation': {}},
            }
        ),
        "Lambda layer, which holds code.*in layer 'inner'",
    ),
    'build_config': (layer(build_config=an_object('os', 'mkdir', path='MARKER')), "needs 'mkdir' of 'os'"),
    'activation': (dense(activation=function('os', 'mkdir')), "needs the function 'mkdir' of 'os'.*in layer 'dense'"),
    'builtin activation': (dense(activation=function('builtins', 'eval')), "needs the function 'eval' of 'builtins'"),
    'two names': (dense(activation=function('builtins', 'relu6', 'eval')), "needs the function 'relu6'"),
    'activation of TensorFlow': (
        dense(activation=function('tensorflow.python.ops.io_ops', 'write_file')),
        "needs the function 'write_file'",
    ),
    'activation lambda': (
        lambda model, marker: by_name(model)['dense']['config'].update(
            activation={'class_name': '__lambda__', 'config': {'value': code(marker)}}
        ),
        "needs '__lambda__'",
    ),
    'activation text': (dense(activation='eval'), "names the activation 'eval', which is not of Keras"),
    'initializer': (dense(kernel_initializer=an_object('os', 'mkdir', path='MARKER')), "needs 'mkdir' of 'os'"),
    'initializer function': (dense(kernel_initializer=function('os', 'mkdir')), "needs the function 'mkdir' of 'os'"),
    'initializer text': (dense(bias_initializer='get_file'), "names the initializer 'get_file'"),
    'regularizer': (dense(kernel_regularizer=an_object('pathlib', 'Path', path='MARKER')), "needs 'Path' of 'pathlib'"),
    'regularizer text': (dense(kernel_regularizer='deserialize_keras_object'), 'names the regularizer'),
    'constraint': (dense(kernel_constraint=an_object('shutil', 'rmtree', path='MARKER')), "needs 'rmtree' of 'shutil'"),
    'policy': (dense(dtype=an_object('os', 'mkdir', name='MARKER')), "needs 'mkdir' of 'os'"),
    'type spec': (
        layer(
            config={
                'name': 'relu',
                'max_value': {
                    'class_name': '__typespec__',
                    'spec_name': 'system',
                    'module': 'os',
                    'registered_name': None,
                    'config': [],
                },
            }
        ),
        "needs '__typespec__'|names class '__typespec__'",
    ),
    'array of texts': (
        layer(
            config={
                'name': 'relu',
                'max_value': {'class_name': '__numpy__', 'config': {'value': [1], 'dtype': 'S999999999'}},
            }
        ),
        'array that is not one of numb',
    ),
    'no text': (layer(class_name=['ReLU']), r"names class \['ReLU'\]"),
    'layers of another kind': (lambda model, marker: model['config'].update(layers={'a': 1}), 'layers .* are no list'),
    'no layer': (lambda model, marker: model['config'].update(layers=[5]), 'lists something that is no layer'),
    'units': (dense(units=10**9), 'says units=1000000000; sizes up to 16777216 are accepted'),
    'units that are not stored': (dense(units=2**24), r'its layers need more than the \d+ values that are stored'),
    'deep': (deep, 'nested more than 200 deep'),
    'constant': (on_constant('math.multiply', [1.0] * 4, y=2.0), "calls layer 'relu' on constants alone"),
    'eye': (on_constant('linalg.eye', 26000), "'linalg.eye'|on constants alone"),
    'fill': (calling('fill', value=0.0), "function 'fill'"),
    'tile': (calling('tile', multiples=[1, 2**24 + 1]), 'says multiples=16777217; sizes up to 16777216'),
    'resize': (
        lambda model, marker: (square(model), calling('image.resize', size=[2**20, 2**20])(model, marker)),
        r"layer 'relu' works on a tensor of shape \[None, 1048576, 1048576, 1\]; up to 268435456 values",
    ),
    'unroll': (unrolled, "layer 'relu' writes out 1048576 parts; up to 1024 are accepted"),
    'unstack': (
        lambda model, marker: (lengthened(model), calling('unstack', axis=1)(model, marker)),
        "layer 'relu' writes out 1048576 parts; up to 1024 are accepted",
    ),
    'split': (calling('split', num_or_size_splits=2**20, axis=1), "layer 'relu' writes out 1048576 parts"),
    'many layers': (many_layers, 'has more than 8192 layers'),
    'doubled': (doubled, 'its layers are called more than 500 times'),
    'itself': (layer(inbound_nodes=[[['relu', 0, 0, {}]]]), 'called on something that no layer makes'),
    'nowhere': (layer(inbound_nodes=[[['nowhere', 0, 0, {}]]]), "called on the output of 'nowhere', which does not"),
}


pytestmark = pytest.mark.usefixtures('few_calls')


@pytest.mark.parametrize('kind', ARCHITECTURES)
def test_an_architecture_is_refused(tmp_path, parts, kind):
    change, message = ARCHITECTURES[kind]
    refused(tmp_path, lambda path, marker: zipped(path, edited(parts, lambda model: change(model, marker))), message)


@pytest.mark.parametrize(
    'kind',
    [
        kind
        for kind in ARCHITECTURES
        if kind not in ('no module', 'registered as Keras', 'build_config', 'own wrapper', 'many layers')
    ],
)
def test_so_it_is_in_the_format_of_older_releases(tmp_path, parts, kind):
    change, _ = ARCHITECTURES[kind]
    config = config_of(parts)
    refused(
        tmp_path,
        lambda path, marker: (change(config, marker), whole_hdf5(path, legacy(config)))[1],
        '.',
        name='model.h5',
    )


def test_how_a_model_was_compiled_is_not_looked_at(tmp_path, parts):
    marker = tmp_path / 'marker'

    def change(model: Config) -> None:
        model['compile_config'] = {'optimizer': an_object('os', 'mkdir', path=str(marker)), 'loss': code(str(marker))}
        by_name(model)['relu']['compile_config'] = model['compile_config']

    assert load_model(zipped(tmp_path / 'model.keras', edited(parts, change))).count_params() == 20
    assert not marker.exists()
