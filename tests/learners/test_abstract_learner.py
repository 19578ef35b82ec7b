"""The template: each part of a stage is done once, and kept."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.abstract_learner import AbstractLearner, Compressed, LearnerOptions, describe
from pocketflow.learners.full_precision.learner import FullPrecLearner
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model, save_model
from pocketflow.utils.options import Options
from pocketflow.utils.training.trainer import DivergedError, Trainer
from tests.learners.conftest import make_context, make_helper

PLAN = CompressionPlan('channels', 'lenet', {'conv2': (0, 1)}, {'conv2': 32})
ROWS = ({'layer': 'conv2', 'macs': [9, 9], 'parameters': [3, 3], 'note': ''},)


class Copying(AbstractLearner):
    """Compresses nothing; notes that it was asked to."""

    name = 'copying'
    timing = ('copy', 'train')

    def __init__(self, context):
        super().__init__(context, Options())
        self.calls = 0

    def compress(self, model):
        self.calls += 1
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        return Compressed(copy, PLAN, ROWS)


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return make_helper().build_model()


def learner(tmp_path, **options) -> Copying:
    return Copying(make_context('lenet_at_digits', tmp_path, epochs_ratio_finetune=1 / 400, **options))


def test_a_stage_keeps_its_parts(tmp_path, model):
    result = learner(tmp_path).run(model)
    stage = tmp_path / 'stage'
    assert {path.name for path in stage.iterdir()} == {
        'compressed.keras',
        'compressed.json',
        'plan.json',
        'checkpoints',
        'model.keras',
        'result.json',
    }
    assert CompressionPlan.load(stage / 'plan.json') == PLAN
    assert json.loads((stage / 'result.json').read_text()) == {
        'metrics_compressed': result.metrics_compressed,
        'layers': list(ROWS),
        'metrics': result.metrics,
    }
    assert json.loads((tmp_path / 'seconds.json').read_text()).keys() == {'copy', 'train'}
    np.testing.assert_array_equal(load_model(stage / 'compressed.keras').get_weights()[0], model.get_weights()[0])
    assert np.abs(load_model(stage / 'model.keras').get_weights()[0] - model.get_weights()[0]).max() > 0


def test_a_finished_stage_is_only_read(tmp_path, model):
    first = learner(tmp_path).run(model)
    again = learner(tmp_path)
    result = again.run(None)
    assert again.calls == 0
    assert dataclasses.replace(result, model=None) == dataclasses.replace(first, model=None)
    for one, two in zip(first.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_compression_is_not_repeated_when_training_failed(tmp_path, model, monkeypatch):
    monkeypatch.setattr(Trainer, 'fit', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        learner(tmp_path).run(model)
    assert not (tmp_path / 'stage' / 'result.json').exists()
    monkeypatch.undo()
    again = learner(tmp_path)
    result = again.run(None)
    assert again.calls == 0 and result.layers == ROWS


def test_a_diverged_training_is_not_called_finished(tmp_path, model, monkeypatch):
    def explode(trainer, *_):
        trainer.model.set_weights([1e4 * value for value in trainer.model.get_weights()])

    monkeypatch.setattr(Trainer, 'fit', explode)
    for _ in range(2):
        with pytest.raises(DivergedError, match='copying: the loss on the evaluation set is .* lower --lrn_rate_init'):
            learner(tmp_path).run(model)
    assert not (tmp_path / 'stage' / 'result.json').exists() and not (tmp_path / 'stage' / 'model.keras').exists()


def test_fine_tuning_has_its_own_schedule(tmp_path):
    given = learner(tmp_path, rate_factor_finetune=0.25)
    schedule, num_steps = given.schedule()
    whole, num_whole = given.helper.setup_lrn_rate(1 / 400, 1.0)
    assert num_steps == num_whole > 2
    assert float(schedule(2)) == pytest.approx(0.25 * float(whole(2))) != 0


def test_fine_tuning_has_its_own_batches(tmp_path, monkeypatch):
    assert learner(tmp_path).training_helper().dataset.options == learner(tmp_path).helper.dataset.options
    given = learner(tmp_path, crop_padding_finetune=0, batch_size_finetune=16)
    batches = []
    monkeypatch.setattr(Trainer, 'fit', lambda _, make_batches, num_steps: batches.append((make_batches(0), num_steps)))
    given.fit(Compressed(given.helper.build_model()), label=None)
    (images, labels), num_steps = next(iter(batches[0][0])), batches[0][1]
    assert labels.shape == (16,) and num_steps == 2 * learner(tmp_path).schedule()[1] + 1
    held = given.helper.dataset.normalize(tf.constant(given.helper.dataset.samples('train').images)).numpy()
    assert all(any(np.array_equal(image, one) for one in held) for image in images.numpy())  # not shifted
    assert float(given.schedule()[0](3)) == pytest.approx(0.5 * float(learner(tmp_path).schedule()[0](1)))


def test_the_training_of_the_uncompressed_network_goes_by_its_own_flags(tmp_path):
    given = learner(tmp_path, crop_padding_finetune=0, batch_size_finetune=16)
    assert FullPrecLearner(given.context, Options()).training_helper() is given.helper


def test_options_are_checked():
    with pytest.raises(UsageError, match=r'--nb_epochs_rat_ft=-1: must be a number >= 0'):
        LearnerOptions(epochs_ratio_finetune=-1)
    with pytest.raises(UsageError, match=r'--lrn_rate_rat_ft=0: must be a number > 0'):
        LearnerOptions(rate_factor_finetune=0)


def test_metrics_in_short():
    assert describe({'loss': 0.41234567, 'accuracy': 0.913}) == 'loss 0.4123 accuracy 0.913'


def test_models_are_saved_whole(tmp_path, model):
    save_model(model, tmp_path / 'new' / 'model.keras')
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['model.keras']
    np.testing.assert_array_equal(load_model(tmp_path / 'new' / 'model.keras').get_weights()[0], model.get_weights()[0])


def test_files_that_hold_no_model(tmp_path):
    (tmp_path / 'thesis.keras').write_text('not a model')
    for name in ('thesis.keras', 'missing.keras'):
        with pytest.raises(UsageError, match=f'{name}: cannot be read as a Keras model'):
            load_model(tmp_path / name)
