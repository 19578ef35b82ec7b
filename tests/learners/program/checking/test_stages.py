"""The forecast of a stage: its predicted model, the time of its steps, and the sums."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.forecast import Speed
from pocketflow.learners.model_files import Finished
from pocketflow.learners.program.checking import stages
from pocketflow.learners.program.checking.stages import StageForecast, forecast_stage, peak_bytes, trial_step_seconds
from pocketflow.utils.costs.cost_model import total_macs
from tests.learners.test_contracts import given_model, learner


def test_seconds_are_added_up():
    nothing = Finished(keras.Sequential([keras.layers.Dense(1, input_shape=(1,))]))
    stage = StageForecast('a', '1-a', 'exact', {}, (), nothing, 100, 0.5, True, 7.0, 3.0, 2.0, 10)
    assert (stage.train_seconds, stage.seconds) == (50.0, 62.0)
    assert dataclasses.replace(stage, num_steps=0, step_seconds=None).seconds == 12.0
    record = stage.to_json()
    assert (record['train_seconds'], record['seconds'], record['parameters']) == (50.0, 62.0, 2)
    assert 'finished' not in record and record['method'] == 'exact'


def test_a_pruned_stage(tmp_path):
    model = given_model(tmp_path)
    before = [weight.copy() for weight in model.get_weights()]
    one = learner('chn-pruned-rmt', tmp_path / 'stage')
    found = forecast_stage(one, '1-chn-pruned-rmt', model, image_seconds=0.25)
    assert found.num_steps == one.schedule()[1] == 3 and found.is_measured and 0 < found.step_seconds < 10
    assert total_macs(found.finished.model) < 0.8 * total_macs(model)
    assert found.evaluate_seconds == 2 * 15 * 0.25  # twice all 15 samples
    assert found.compress_seconds > 2 * 50 * 0.25  # all images but the 10 held-out ones, in two networks
    assert found.memory_bytes >= one.compress_effort(model, Speed(0.0, 0.0, 0.0)).num_bytes > 0
    assert found.reasons['conv1'] == 'first convolution'
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


def test_steps_that_are_derived(tmp_path):
    model = given_model(tmp_path)
    one = learner('weight-sparse', tmp_path / 'stage')
    found = forecast_stage(one, '1-weight-sparse', model, 0.0, step_seconds_per_mac=1e-6)
    assert not found.is_measured and found.step_seconds == pytest.approx(total_macs(model) * 1e-6)


def test_stages_without_training(tmp_path, monkeypatch):
    one = learner('weight-sparse', tmp_path / 'stage')
    monkeypatch.setattr(one, 'schedule', lambda: (None, 0))
    monkeypatch.setattr(stages, 'trial_step_seconds', lambda *_: pytest.fail('nothing is trained'))
    found = forecast_stage(one, '1-weight-sparse', given_model(tmp_path), 0.0)
    assert found.step_seconds is None and found.train_seconds == 0


def test_the_first_step_is_not_timed(tmp_path, monkeypatch):
    one = learner('full-prec', tmp_path / 'stage')
    seen = []

    def fit(compressed: Compressed, num_steps: int, **arguments) -> float:
        seen.append((num_steps, arguments))
        return 40.0  # images per second; batches have 10

    monkeypatch.setattr(one, 'fit', fit)
    assert trial_step_seconds(one, Compressed(given_model(tmp_path))) == 0.25
    assert seen == [(3, {'label': None})]


def test_memory_of_this_process():
    assert peak_bytes() > 50e6


def test_calibration_reads_the_images(tmp_path):
    one = learner('uniform-tf', tmp_path / 'stage')  # on 60 images
    effort = one.compress_effort(given_model(tmp_path), Speed(step=9.0, image=0.5, prediction=2.0))
    assert effort.seconds == 2 + 60 * 0.5
