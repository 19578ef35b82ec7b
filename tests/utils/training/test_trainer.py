from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.system.interrupts import Interrupted
from pocketflow.utils.training.distillation import Distillation
from pocketflow.utils.training.trainer import (
    DivergedError,
    Evaluation,
    Trainer,
    TrainerOptions,
    TrainerParts,
    evaluate,
    is_due,
    refuse_divergence,
    steps_until_due,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 6)).astype(np.float32)
LABELS = (IMAGES[:, 0] > 0).astype(np.int32)
OPTIONS = TrainerOptions(summary_step=5, save_step=7, compute_dtype='float32')


def small_model(dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8, activation='relu')(inputs))
    hidden = keras.layers.Dropout(dropout)(hidden) if dropout else hidden
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


def loss_fn(labels, outputs, variables):
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))
    return loss, {'accuracy': tf.reduce_mean(tf.cast(tf.argmax(outputs, 1, tf.int32) == labels, tf.float32))}


def batches(step: int) -> tf.data.Dataset:
    def batch(number):
        index = tf.math.floormod(number * 8 + tf.range(8, dtype=tf.int64), 64)
        return tf.gather(IMAGES, index), tf.gather(LABELS, index)

    return tf.data.Dataset.counter(step).map(batch)


def trainer(model, folder=None, rate=0.1, **arguments) -> Trainer:
    return Trainer(
        model, loss_fn, keras.optimizers.SGD(rate, momentum=0.9, jit_compile=False), OPTIONS, folder=folder, **arguments
    )


def test_several_trainings_are_no_reason_for_a_warning(caplog):
    model = small_model()
    for _ in range(6):
        trainer(model).fit(batches, 1)
    assert 'retracing' not in caplog.text


def test_equals_a_hand_written_loop():
    model, reference = small_model(), small_model()
    trainer(model).fit(batches, 12)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, jit_compile=False)
    for images, labels in batches(0).take(12):
        with tf.GradientTape() as tape:
            loss, _ = loss_fn(labels, reference(images, training=True), None)
        optimizer.apply_gradients(
            zip(tape.gradient(loss, reference.trainable_variables), reference.trainable_variables, strict=True)
        )
    for ours, theirs in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('dropout', [0.0, 0.3])
def test_resumed_training_equals_uninterrupted_training(tmp_path, dropout):
    whole, resumed = small_model(dropout), small_model(dropout)
    trainer(whole).fit(batches, 20)
    trainer(resumed, tmp_path).fit(batches, 7)
    again = small_model(dropout)
    again.set_weights([np.zeros_like(value) for value in again.get_weights()])
    trainer(again, tmp_path).fit(batches, 20)
    for one, two in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_finished_training_is_not_repeated(tmp_path):
    trainer(small_model(), tmp_path).fit(batches, 7)
    model = small_model()
    assert trainer(model, tmp_path).fit(batches, 7) == 0.0


def test_a_signal_writes_a_checkpoint_and_stops(tmp_path):
    def interrupting(step):
        def strike(number):
            if number == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            return np.int64(0)

        def batch(images, labels):
            return images, labels

        stream = tf.data.Dataset.counter(step).map(lambda number: (number, tf.py_function(strike, [number], tf.int64)))
        return tf.data.Dataset.zip(stream, batches(step)).map(lambda _, pair: batch(*pair))

    model, whole = small_model(), small_model()
    with pytest.raises(Interrupted) as stop:
        trainer(model, tmp_path).fit(interrupting, 200)
    assert stop.value.exit_code == 143
    resumed = trainer(model, tmp_path)
    resumed.fit(batches, 30)
    trainer(whole).fit(batches, 30)
    for one, two in zip(whole.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_signal_is_answered_within_a_step(tmp_path):
    def slow(step):
        def wait(number):
            if number == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)
            return np.int64(0)

        numbers = tf.data.Dataset.counter(step).map(lambda number: tf.py_function(wait, [number], tf.int64))
        return tf.data.Dataset.zip(numbers, batches(step)).map(lambda _, pair: pair)

    options = TrainerOptions(summary_step=1000, save_step=1000, compute_dtype='float32')
    model = small_model()
    optimizer = keras.optimizers.SGD(0.1, jit_compile=False)
    with pytest.raises(Interrupted):
        Trainer(model, loss_fn, optimizer, options, folder=tmp_path).fit(slow, 100)
    assert 2 <= int(optimizer.iterations) <= 5  # far from the 20 steps of one call


def test_a_damaged_checkpoint_is_not_trained_over(tmp_path):
    trainer(small_model(), tmp_path).fit(batches, 7)
    (tmp_path / 'ckpt-7.data-00000-of-00001').unlink()
    with pytest.raises(PocketFlowError, match='ckpt-7: damaged checkpoint .*; delete the folder .* to train the stage'):
        trainer(small_model(), tmp_path).fit(batches, 20)


def test_training_from_the_older_checkpoint_ends_alike(tmp_path):
    whole, again, log = small_model(), small_model(), MetricsLog(tmp_path)
    trainer(whole, tmp_path / 'checkpoints', log=log).fit(batches, 20)
    lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
    (tmp_path / 'checkpoints' / 'ckpt-20.index').write_bytes(b'nonsense')
    trainer(again, tmp_path / 'checkpoints', log=log).fit(batches, 20)
    log.close()
    for one, two in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    again_lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
    assert [json.loads(line)['step'] for line in again_lines] == [json.loads(line)['step'] for line in lines]
    # From step 14 on: the line of step 15 is also about the four steps before that the first call has done.
    assert list(map(without_speed, again_lines)) == list(map(without_speed, lines))


def without_speed(line: str) -> dict:
    return {name: value for name, value in json.loads(line).items() if name != 'images_per_second'}


def test_a_loss_that_is_no_number_stops_with_the_steps():
    with pytest.raises(PocketFlowError, match=r'the loss is (nan|inf) between steps \d+ and \d+ of train; lower --lrn'):
        trainer(small_model(), rate=1e30).fit(batches, 40)


@pytest.mark.parametrize(('before', 'after'), [(2.3, 9e32), (2.3, np.inf), (2.3, np.nan), (0.01, 2e6), (np.nan, 2e6)])
def test_a_network_beyond_repair_is_refused(before, after):
    with pytest.raises(
        DivergedError,
        match=f'net: the loss on the evaluation set is {after:.4g} after training '
        f'\\({before:.4g} before\\): it has diverged; lower --lrn_rate_init, .* '
        'another --run_dir'.replace('+', r'\+'),
    ):
        refuse_divergence(before, after, 'net')


@pytest.mark.parametrize(('before', 'after'), [(2.3, 0.1), (0.01, 1e5), (5e3, 4e9), (np.nan, 1.0)])
def test_a_bad_network_is_no_diverged_one(before, after):
    refuse_divergence(before, after, 'net')


def test_constraint_is_applied_and_only_the_given_variables_are_trained():
    model = small_model()
    kernel = model.trainable_variables[0]
    constraint = TrainerParts(constraint=lambda _: kernel.assign(tf.zeros_like(kernel)))
    trainer(model, parts=constraint).fit(batches, 3)
    assert not kernel.numpy().any()
    model = small_model()
    before = [variable.numpy() for variable in model.trainable_variables]
    trainer(model, parts=TrainerParts(variables=model.trainable_variables[:1])).fit(batches, 3)
    changed = [(old != variable.numpy()).any() for old, variable in zip(before, model.trainable_variables, strict=True)]
    assert changed == [True] + [False] * (len(before) - 1)


def test_further_state_is_in_the_checkpoint(tmp_path):
    def train(num_steps: int) -> int:
        counter = tf.Variable(0)
        parts = TrainerParts(constraint=lambda _: counter.assign_add(1), state=[counter])
        trainer(small_model(), tmp_path, parts=parts).fit(batches, num_steps)
        return int(counter)

    assert (train(7), train(12)) == (7, 12)


def test_a_teacher_adds_its_loss(tmp_path):
    log = MetricsLog(tmp_path)
    parts = TrainerParts(distillation=Distillation(small_model(), 1.0, 1.0))
    trainer(small_model(), log=log, parts=parts).fit(batches, 5)
    log.close()
    assert '"distillation_loss"' in (tmp_path / 'metrics.jsonl').read_text()


def test_evaluation_weighs_samples_not_batches():
    model = small_model()
    uneven = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(60)
    whole = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(64)
    for name, value in evaluate(model, loss_fn, whole).items():
        assert evaluate(model, loss_fn, uneven)[name] == pytest.approx(value, rel=1e-5)
    with pytest.raises(PocketFlowError, match='nothing was measured'):
        evaluate(model, loss_fn, whole.take(0))


def test_one_evaluation_is_traced_once_for_other_samples_of_the_kind():
    traced = []

    def loss(labels, outputs, variables):
        traced.append(None)
        return tf.reduce_mean(outputs), {'count': tf.cast(tf.shape(labels)[0], tf.float32)}

    inputs = keras.Input((1,))
    first, second = (
        tf.data.Dataset.from_tensor_slices((np.full((3, 1), value, np.float32), np.zeros(3, np.int32))).batch(2)
        for value in (1, 5)
    )
    evaluation = Evaluation(keras.Model(inputs, keras.layers.Identity()(inputs)), loss, first)
    assert [evaluation()['loss'], evaluation(batches=second)['loss'], evaluation(1, first)['count']] == [1, 5, 2]
    assert len(traced) == 1


def test_intervals():
    assert [step for step in range(1, 11) if is_due(step, 4, 10)] == [4, 8, 10]
    assert steps_until_due(0, 100, 50, 7) == 7
    assert steps_until_due(7, 100, 50, 7) == 7
    assert steps_until_due(49, 100, 50, 70) == 1
    assert steps_until_due(0, 100, 50) == 20
    assert steps_until_due(95, 100, 50) == 5


def test_a_frozen_model_is_no_silent_success():
    model = small_model()
    model.trainable = False
    with pytest.raises(PocketFlowError, match='has no trainable weights'):
        trainer(model).fit(batches, 3)
