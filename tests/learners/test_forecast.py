"""Defaults of the predictions; what every learner predicts is in test_contracts.py."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.forecast import Effort, ForecastingLearner, Speed, layers_with_kernels
from tests.learners.conftest import make_helper
from tests.learners.test_contracts import given_model, learner

layers = keras.layers


class Plain(ForecastingLearner):
    """Reads ten images."""

    def __init__(self):
        self.helper = make_helper()

    def compress(self, model, found=None):
        return Compressed(model)

    def num_images_read(self):
        return 10


def network() -> keras.Model:
    inputs = keras.Input((4, 4, 2))
    x = layers.BatchNormalization(name='norm')(layers.Conv2D(3, 3, name='conv')(inputs))
    return keras.Model(inputs, layers.Dense(2, name='dense')(layers.Flatten()(x)))


def test_layers_with_kernels():
    assert layers_with_kernels(network()) == ['conv', 'dense']


def test_defaults():
    one, model = Plain(), network()
    assert one.explain_layers(model) == {'conv': '', 'dense': ''}
    assert one.predict(model).model is model and one.prediction_method().startswith('exact')
    # Ten digits of 8x8 pixels are held twice, in float32.
    assert one.compress_effort(model, Speed(step=5.0, image=0.5, prediction=2.0)) == Effort(7.0, 2 * 10 * 4 * 8 * 8)
    assert one.search_seconds(model, Speed(1.0, 1.0, 1.0)) == 0


def test_searches_take_all_trials(tmp_path):
    one = learner('weight-sparse', tmp_path / 'stage')
    options = one.options.replace(protocol='optimal', num_rollouts=7, num_tune_steps=3, num_eval_batches=0)
    one = type(one)(one.context, options)
    # A trial: 3 steps, and 10 held-out samples before and after them; 3 verified candidates: 4 times 50 steps.
    speed = Speed(step=1.0, image=0.1, prediction=0.0)
    assert one.search_seconds(given_model(tmp_path), speed) == 7 * (3 + 2 * 1.0) + 3 * (200 + 1.0)
    assert one.prediction_method() == 'the uniform candidate within the budget of the search'
