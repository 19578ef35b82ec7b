"""What every model/dataset pair promises, and what losses and schedules are refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.abstract_dataset import Shard
from pocketflow.datasets.cifar10_dataset import Cifar10Dataset, Cifar10Options
from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper, weight_decay_loss
from pocketflow.nets.lenet import lenet
from pocketflow.nets.options import PairDeclaration
from pocketflow.utils.errors import UsageError
from tests.datasets.conftest import write_cifar10
from tests.nets.conftest import helper

NEW_NETWORKS = [name for name in PAIRS if not PAIRS.declaration(name).needs_model and not name.endswith('_at_ilsvrc12')]
"""The pairs whose networks are trained from the start; those at ILSVRC-12 have tests of their own, with records."""


@pytest.mark.parametrize('pair', NEW_NETWORKS)
def test_every_pair_keeps_its_promises(pair):
    task = helper(pair)
    assert PAIRS.declaration(pair) == PairDeclaration(task.net_options_class, task.dataset_class.options_class)
    model = task.build_model()
    assert model.input_shape == (None, *task.dataset.image_shape)
    assert model.output_shape == (None, task.dataset.num_classes)
    logits = model(np.random.default_rng(0).normal(size=(4, *task.dataset.image_shape)).astype(np.float32)).numpy()
    assert not np.allclose(logits.sum(axis=1), 1)  # logits, no softmax
    schedule, num_steps = task.setup_lrn_rate()
    assert num_steps == task.dataset.options.num_train * task.num_epochs // task.dataset.options.batch_size
    assert float(schedule(num_steps)) < float(schedule(num_steps // 4))
    assert pair == f'{task.model_name.split("_")[0]}_at_{task.dataset_name.replace("_", "")}'


def test_a_model_that_does_not_fit_the_data_is_refused(monkeypatch):
    task = helper('lenet_at_digits')
    assert task.new_model().output_shape == (None, 10)
    monkeypatch.setattr(type(task), 'build_model', lambda self: lenet((8, 8, 1), 7, padding='same'))
    with pytest.raises(
        UsageError,
        match=r'^LenetAtDigits.build_model\(\): maps \(None, 8, 8, 1\) to \(None, 7\), but '
        r'digits needs \(None, 8, 8, 1\) to \(None, 10\); change its first or',
    ):
        task.new_model()


def test_loss_and_accuracy_by_hand():
    task = helper('resnet_at_cifar10', weight_decay=0.0)
    logits = tf.constant([[0.0] * 10, [5.0] + [0.0] * 9])
    loss, metrics = task.calc_loss(tf.constant([0, 1]), logits, [])
    expected = (np.log(10) + np.log(np.exp(5) + 9)) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(metrics['accuracy']) == 0.5


@pytest.mark.parametrize('pair', NEW_NETWORKS)
def test_the_loss_of_every_pair_can_be_used(pair, tmp_path):
    task = helper(pair)
    folder = {'data_dir_local': str(write_cifar10(tmp_path))} if 'cifar10' in pair else {}
    task.dataset = task.dataset.with_options(num_train=60, num_eval=15, num_val=10, **folder)
    task.check_loss(task.new_model())


def loss_of_one_hot_codes(labels, outputs):
    return tf.reduce_mean(keras.losses.categorical_crossentropy(labels, outputs))


@pytest.mark.parametrize(
    ('calc_loss', 'message'),
    [
        (
            lambda self, labels, outputs, variables: (outputs, {'accuracy': tf.reduce_sum(labels)}),
            'calc_loss: loss, accuracy must be single floating-point numbers, means over the batch',
        ),
        (
            lambda self, labels, outputs, variables: (loss_of_one_hot_codes(labels, outputs), {}),
            (
                r'calc_loss fails on labels int32 \[batch\] and outputs float32 \[batch, 10\]: '
                'ValueError: '
            ),
        ),
        (lambda self, labels, outputs, variables: tf.reduce_mean(outputs), 'calc_loss fails on labels'),
    ],
)
def test_a_loss_that_cannot_be_used_is_refused(monkeypatch, calc_loss, message):
    task = helper('lenet_at_digits')
    monkeypatch.setattr(type(task), 'calc_loss', calc_loss)
    with pytest.raises(UsageError, match=message):
        task.check_loss(task.new_model())


def test_only_kernels_decay():
    variables = [
        tf.Variable([3.0], name='conv/kernel'),
        tf.Variable([4.0], name='dw/depthwise_kernel'),
        tf.Variable([5.0], name='conv/bias'),
        tf.Variable([6.0], name='bn/gamma'),
    ]
    assert float(weight_decay_loss(variables)) == pytest.approx((9 + 16) / 2)
    assert float(weight_decay_loss([])) == 0


def test_schedule_scales_with_batch_size_and_epochs():
    task = helper('resnet_at_cifar10')
    schedule, num_steps = task.setup_lrn_rate(epochs_ratio=0.1, rate_factor=0.5)
    assert num_steps == 50000 * 25 // 128
    assert float(schedule(0)) == pytest.approx(0.05)
    data = Cifar10Dataset(Cifar10Options(batch_size=256))
    larger = type(task)(task.net, data)
    assert float(larger.setup_lrn_rate()[0](0)) == pytest.approx(0.2)


def test_several_workers_warm_up_to_a_larger_rate():
    task = helper('resnet_at_cifar10')
    task.dataset.shard = Shard(1, 4)
    schedule, num_steps = task.setup_lrn_rate()
    assert num_steps == 50000 * 250 // 512
    assert [float(schedule(step)) for step in (0, 244, 488, 9000)] == pytest.approx([0.1, 0.25, 0.4, 0.4])


@pytest.mark.parametrize('schedule', ['piecewise', 'one-cycle'])
def test_no_epochs_are_no_steps(schedule):
    task = helper('resnet_at_cifar10', schedule=schedule)
    rate, num_steps = task.setup_lrn_rate(epochs_ratio=0.0)
    assert num_steps == 0 and np.isfinite(float(rate(0)))
    assert task.setup_lrn_rate(epochs_ratio=1e-9)[1] == 1


def test_training_images_are_distinct_and_not_held_out():
    task = helper('lenet_at_digits')
    images = task.training_images(100, seed=1)
    assert images.shape == (100, 8, 8, 1)
    held_out = np.concatenate([batch for batch, _ in task.build_dataset_train(True)[1]])
    rows = {image.tobytes() for image in images}
    # The digits hold a few equal images; sample identity is what train_val_split guarantees.
    assert len(rows) >= 99
    assert len(rows & {image.tobytes() for image in held_out}) <= 1


def test_fine_tuning_has_its_own_weight_decay_and_shifts():
    task = helper('lenet_at_digits')
    milder = task.for_finetuning(0.4)
    assert milder.net.weight_decay == pytest.approx(0.4 * task.net.weight_decay)
    assert milder.dataset.options == task.dataset.options
    unshifted = task.for_finetuning(1.0, crop_padding=0)
    assert (unshifted.dataset.options.crop_padding, task.dataset.options.crop_padding) == (0, 1)
    assert unshifted.net == task.net
    other = task.for_finetuning(1.0, 'piecewise')
    assert (other.net.schedule, task.net.schedule) == ('piecewise', 'one-cycle')


def with_attributes(**attributes) -> AbstractModelHelper:
    task = helper('lenet_at_digits', schedule='piecewise')
    for name, value in attributes.items():
        setattr(task, name, value)
    return task


@pytest.mark.parametrize(
    ('attributes', 'rates'),
    [
        ({'boundaries': (1,)}, [1, 0.1, 0.1]),
        ({'boundaries': (1, 2)}, [1, 0.1, 0.01]),
        ({'boundaries': ()}, [1, 1, 1]),
        ({'boundaries': [1, 2], 'factors': [1, 0.5, 0.25]}, [1, 0.5, 0.25]),
    ],
)
def test_learning_rate_drops_at_any_number_of_boundaries(attributes, rates):
    task = with_attributes(**attributes)
    schedule, _ = task.setup_lrn_rate()
    steps = task.dataset.num_trained / task.dataset.options.batch_size
    found = np.array([float(schedule(int(steps * epoch))) for epoch in (0.5, 1.5, 2.5)])
    np.testing.assert_allclose(found / float(schedule(0)), rates, rtol=1e-6)


@pytest.mark.parametrize(
    ('attributes', 'message'),
    [
        ({'boundaries': (1, 2), 'factors': (1, 0.1)}, r'^LenetAtDigits: boundaries=.* do not go together: give one'),
        ({'boundaries': (2, 1)}, r'^LenetAtDigits: boundaries=\(2, 1\): give epochs from 0 on, in increasing order'),
        ({'boundaries': (-1,)}, r'boundaries=\(-1,\): give epochs from 0 on'),
        ({'boundaries': 30}, r'^LenetAtDigits: boundaries=30: give a tuple of numbers, as'),
        ({'boundaries': (30,), 'factors': ('1', 2)}, r"factors=\('1', 2\): give a tuple of numbers"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(attributes, message):
    with pytest.raises(UsageError, match=message):
        with_attributes(**attributes).setup_lrn_rate()


def test_a_softmax_stays_where_the_loss_takes_probabilities(monkeypatch):
    task = helper('lenet_at_digits')
    inputs = keras.layers.Input((8, 8, 1))
    outputs = keras.layers.Dense(10, 'softmax')(keras.layers.Flatten()(inputs))
    monkeypatch.setattr(type(task), 'build_model', lambda self: keras.Model(inputs, outputs))
    assert task.new_model().layers[-1].activation is keras.activations.linear
    task.takes_logits = False
    assert task.new_model().layers[-1].activation is keras.activations.softmax
