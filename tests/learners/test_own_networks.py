"""Networks as users bring them: nested, with a softmax at the end, with layers of their own; in files and helpers."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.program.pipeline import load_fitting_model
from pocketflow.nets import PAIRS
from pocketflow.utils.channels import reader_channels, remove_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.graph import frozen_share, standard_form
from pocketflow.utils.models.files import save_model
from pocketflow.utils.quantization import quantizable_layers
from tests.conftest import ONE_FILE, PACKED, PRUNING, QUICK, run_main
from tests.learners.conftest import make_helper

layers = keras.layers

HELPER = """
import tf_keras as keras
import tensorflow as tf
from pocketflow.nets import PAIRS, lenet_at_digits
layers = keras.layers

@keras.saving.register_keras_serializable('mine')
def my_relu(x):
    return tf.maximum(x, 0.0)

@keras.saving.register_keras_serializable('mine')
class Scale(layers.Layer):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {{**super().get_config(), 'factor': self.factor}}

def plain(x):
    return x

class Unregistered(Scale):
    pass

class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(10)

    def call(self, inputs):
        return self.last(layers.Flatten()(inputs))

@PAIRS.register('own_at_digits')
class OwnAtDigits(lenet_at_digits.LenetAtDigits):
    model_name = 'own'
    num_epochs = 60
    {attributes}

    def build_model(self):
        shape = self.dataset.image_shape
        {body}
"""
DIGITS = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
BACKBONE = """
        base = keras.Sequential([layers.Conv2D(8, 3, activation=my_relu, name='conv1', input_shape=shape),
                                 layers.BatchNormalization(name='bn'), layers.Conv2D(8, 3, name='conv2')], name='base')
        base.get_layer('conv1').trainable = False
        inputs = layers.Input(shape)
        features = Scale(0.5, name='scale')(base(inputs, training=False))
        outputs = layers.Dense(10, 'softmax', name='logits')(layers.Flatten()(features))
        return keras.Model(inputs, outputs, name='own')
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(PAIRS, '_entries', dict(PAIRS._entries))
    monkeypatch.chdir(tmp_path)


def write_helper(body: str, attributes: str = '') -> str:
    Path('own.py').write_text(HELPER.format(body=body, attributes=attributes))
    return '--model_helper=own.py'


def test_an_own_nested_network_goes_through_all_modes():
    """In one process, which reads the same helper file four times."""
    helper, run = write_helper(BACKBONE, 'boundaries = (40,)'), '--run_dir=run'
    outcome = run_main(helper, *QUICK, *PRUNING, ONE_FILE, run)
    assert outcome.code == 0, outcome.err
    assert (
        "OwnAtDigits.build_model(): the softmax at its end (layer 'logits') is taken off, because the loss takes logits"
    ) in outcome.err
    assert 'OwnAtDigits.build_model(): 4 % of its parameters (80 of 1,970) are frozen (trainable=False)' in outcome.err
    report = json.loads(Path('run/report.json').read_text())
    assert [row['layer'] for row in report['layers'] if row['layer'] in ('conv1', 'conv2', 'logits')] == [
        'conv1',
        'conv2',
        'logits',
    ]
    assert report['compressed']['parameters'] < report['baseline']['parameters']
    for folder in ('run', 'run/baseline', 'run/0-full-prec', 'run/1-chn-pruned-rmt'):
        model = keras.models.load_model(f'{folder}/model.keras', compile=False)
        np.testing.assert_allclose(np.sum(model(DIGITS), axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(LiteRtRunner('run/model_float32.tflite').predict(DIGITS), model(DIGITS), atol=1e-6)
    assert model.get_layer('bn').inbound_nodes[0].call_kwargs == {'training': False}
    outcome = run_main(helper, run, '--exec_mode=eval')
    assert outcome.code == 0 and f'accuracy {report["compressed"]["metrics"]["accuracy"]:.4g}' in outcome.out
    for mode in ('--exec_mode=export', '--exec_mode=benchmark'):
        outcome = run_main(helper, run, mode, '--nb_repts=5', '--nb_repts_warmup=1')
        assert outcome.code == 0, outcome.err
    np.testing.assert_allclose(LiteRtRunner('run/model_float32.tflite').predict(DIGITS), model(DIGITS), atol=1e-6)


def ending(line: str) -> str:
    """The body of a `build_model` whose features go through one more line."""
    return f"""
        inputs = layers.Input(shape)
        x = layers.Flatten()(inputs)
        {line}
        return keras.Model(inputs, layers.Dense(10, name='logits')(x), name='own')
"""


REFUSED: dict[str, tuple[str, str]] = {
    'lambda': (ending("x = layers.Lambda(lambda x: x, name='odd')(x)"), "layer 'odd' is a Lambda layer"),
    'own activation': (
        ending("x = layers.Dense(5, plain, name='odd')(x)"),
        "layer 'odd' has plain as its activation, which no saved model could be read with: decorate it",
    ),
    'own layer': (ending("x = Unregistered(2.0, name='odd')(x)"), "layer 'odd' is of class Unregistered, which"),
    'subclassed': ('return Subclassed()', 'is a subclassed model (Subclassed): its graph of layers cannot be read'),
    'another Keras': (
        'import keras as other; return other.Sequential([])',
        'not a model of tf_keras; build it with `import tf_keras',
    ),
    'nothing': ('return None', 'it is a builtins.NoneType, not a model of tf_keras'),
    'unfit': ('return keras.Sequential([layers.Conv2D(1, 9)])', 'cannot be built for inputs of shape (8, 8, 1)'),
    'all frozen': (ending('').replace("name='logits'", 'trainable=False'), 'all of its 650 parameters are frozen'),
}


@pytest.mark.filterwarnings('ignore:The object being serialized includes a `lambda`')
@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_written(name):
    body, message = REFUSED[name]
    outcome = run_main(write_helper(body), '--learner=uniform-tf')
    assert outcome.code == 2 and outcome.err.count('\n') == 1, outcome.err
    assert outcome.err.startswith('error: OwnAtDigits.build_model(): ') and message in outcome.err
    assert [path.name for path in Path().iterdir() if path.name != '__pycache__'] == ['own.py']


def test_a_schedule_that_makes_no_sense_is_refused_before_anything_is_written():
    outcome = run_main(write_helper(ending(''), 'boundaries = (2, 1)'), '--lrn_rate_schedule=piecewise')
    assert outcome.code == 2 and outcome.err.startswith('error: OwnAtDigits: boundaries=(2, 1): give')
    assert not Path('runs').exists()


def test_a_network_without_prunable_layers_is_told_so():
    body = ending("x = layers.Flatten()(layers.Conv1D(4, 3, name='conv')(layers.Reshape((64, 1))(x)))")
    outcome = run_main(write_helper(body), '--learner=chn-pruned-rmt')
    assert outcome.code == 2 and outcome.err == (
        "error: no layer is left to prune in model 'own': chn-pruned-rmt prunes Conv2D and Dense layers with several "
        'input channels; Conv1D (conv) is none of them; logits is skipped unless you pass --cpr_dense_layers=all\n'
    )


def given_model(path: Path, frozen: bool = False) -> keras.Model:
    """A saved classifier of digits as Keras' tutorials write it."""
    base = keras.Sequential([layers.Conv2D(4, 3, name='conv'), layers.Flatten()], name='base')
    base.trainable = not frozen
    model = keras.Sequential([layers.Input((8, 8, 1)), base, layers.Dense(10, 'softmax', name='last')], name='given')
    save_model(model, path)
    return model


def test_a_given_model_is_taken_apart(tmp_path, caplog):
    model = given_model(tmp_path / 'given.keras', frozen=True)
    helper = make_helper()
    images = helper.training_images(5)
    with caplog.at_level(logging.INFO, logger='absl'):
        loaded = load_fitting_model(tmp_path / 'given.keras', helper)
    np.testing.assert_allclose(tf.nn.softmax(loaded(images)), model(images), atol=1e-6)
    assert len(loaded.layers) == 4 and loaded.get_layer('conv').trainable is False
    assert frozen_share(loaded) == frozen_share(model) == (40, 40 + 4 * 36 * 10 + 10)
    assert f"{tmp_path}/given.keras: the softmax at its end (layer 'last') is taken off" in caplog.text


def test_learners_see_the_layers_of_a_nested_backbone():
    base = keras.applications.MobileNetV2((32, 32, 3), 0.35, include_top=False, weights=None, pooling='avg')
    inputs = layers.Input((32, 32, 3))
    model = standard_form(keras.Model(inputs, layers.Dense(10, name='logits')(base(inputs, training=False)))).model
    assert len(reader_channels(model)) == 36 and len(quantizable_layers(model)) == 53  # the depthwise ones read all
    pruned = remove_channels(model, {'block_1_project': tuple(range(24))})
    assert total_macs(pruned) < total_macs(model) and pruned.get_layer('block_1_depthwise').output_shape[-1] == 24
    calls = [
        node.call_kwargs
        for layer in pruned.layers
        for node in layer.inbound_nodes
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert len(calls) == 52 and all(call == {'training': False} for call in calls)


def test_a_given_model_is_pruned_with_itself_as_teacher(tmp_path):
    given_model(tmp_path / 'given.keras')
    outcome = run_main(
        '--model=lenet',
        '--dataset=digits',
        *QUICK,
        *PRUNING,
        PACKED,
        '--save_path=given.keras',
        '--cpr_dense_layers=all',
        '--enbl_dst',
        '--save_path_dst=given.keras',
        '--run_dir=run',
    )
    assert outcome.code == 0, outcome.err
    assert outcome.err.count('is taken off') == 2  # of the model and of its teacher, once each
    teacher = keras.models.load_model('run/teacher/model.keras', compile=False)
    assert teacher.layers[-1].activation is keras.activations.linear and teacher.get_layer('conv')


def test_a_file_of_a_subclassed_model_is_named_as_such(tmp_path):
    @keras.saving.register_keras_serializable('test_own_networks')
    class Plain(keras.Model):
        """Subclassed, and never told its shapes."""

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return inputs

    model = Plain()
    model(tf.zeros((1, 8, 8, 1)))
    save_model(model, tmp_path / 'plain.keras')
    outcome = run_main('--model=lenet', '--dataset=digits', '--learner=uniform-tf', '--save_path=plain.keras')
    assert outcome.code == 2 and outcome.err.count('\n') == 1
    assert 'a subclassed model has to be built with keras.Model(inputs, outputs)' in outcome.err
