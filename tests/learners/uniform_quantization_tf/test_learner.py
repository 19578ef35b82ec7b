"""Quantization-aware training of LeNet at digits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.uniform_quantization_tf.learner import (
    UniformQuantizationTFOptions,
    UniformQuantTFLearner,
    left_in_float,
    zero_constraints,
)
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.quantization.int8.inspect import is_wrapped, unwrapped
from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware
from pocketflow.utils.training.trainer import Trainer
from tests.learners.conftest import make_context, make_helper


@pytest.fixture(scope='module')
def trained() -> keras.Model:
    """LeNet after four epochs."""
    keras.utils.set_random_seed(0)
    helper = make_helper(epochs_ratio=4 / 30)
    schedule, num_steps = helper.setup_lrn_rate()
    model = helper.build_model()
    Trainer(
        model,
        helper.calc_loss,
        keras.optimizers.SGD(schedule, 0.9),
        make_context('lenet_at_digits', Path('/tmp')).trainer_options,
    ).fit(lambda step: helper.build_dataset_train(first_step=step), num_steps)
    return model


def learner(folder: Path, num_epochs: float = 1, **options) -> UniformQuantTFLearner:
    context: LearnerContext = make_context('lenet_at_digits', folder, epochs_ratio_finetune=num_epochs / 30)
    return UniformQuantTFLearner(context, UniformQuantizationTFOptions(num_images=200, **options))


def test_accuracy_of_the_file_is_that_of_the_model(trained, tmp_path):
    one = learner(tmp_path)
    before = one.evaluate(trained)['accuracy']
    result = one.run(trained)
    assert result.metrics_compressed['accuracy'] > before - 0.02 and result.metrics['accuracy'] > before - 0.02
    images, labels = (
        np.concatenate(parts) for parts in zip(*one.helper.build_dataset_eval().as_numpy_iterator(), strict=True)
    )
    logits = LiteRtRunner(convert(result.model, 'int8')).predict(images)
    assert np.mean(logits.argmax(1) == result.model(images, training=False).numpy().argmax(1)) >= 0.99
    assert abs(np.mean(logits.argmax(1) == labels) - result.metrics['accuracy']) <= 0.01
    bits = {row['layer']: row['bits'] for row in result.layers}
    assert set(bits) == {layer.name for layer in trained.layers if getattr(layer, 'kernel', None) is not None}
    assert all(each == [32, 8] for each in bits.values())
    again = learner(tmp_path).run(trained)
    for one, other in zip(again.model.get_weights(), result.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_sparsity_is_preserved(trained, tmp_path):
    sparse = keras.models.clone_model(trained)
    sparse.set_weights(
        [
            weight * (np.abs(weight) > np.median(np.abs(weight))) if weight.ndim > 1 else weight
            for weight in trained.get_weights()
        ]
    )
    result = learner(tmp_path).run(sparse)
    for layer in result.model.layers:
        if getattr(layer, 'kernel_variable', None) is not None:
            before = sparse.get_layer(layer.name).kernel.numpy()
            assert np.all(layer.kernel_variable.numpy()[before == 0] == 0)
            assert np.all(layer.rounded_kernel().numpy()[before == 0] == 0)
            assert np.abs(layer.kernel_variable.numpy() - before).max() > 0


def test_dense_kernels_need_no_masks(trained, tmp_path):
    model = learner(tmp_path).compress(trained).model
    assert not zero_constraints(model)
    assert learner(tmp_path).trainer_parts(model, None).constraint is None


def test_the_steps_reach_the_layers(trained, tmp_path):
    result = learner(tmp_path, quant_delay=3).run(trained)
    _, num_steps = learner(tmp_path).schedule()
    steps = [int(layer.optimizer_step) for layer in result.model.layers if hasattr(layer, 'optimizer_step')]
    assert steps and set(steps) == {num_steps}


def norms_of_all_kinds() -> keras.Model:
    """Batch norms fused into a layer or alone, with and without a ReLU behind, of feature maps and of vectors."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 2))
    stem = layers.Conv2D(4, 3, padding='same')(layers.BatchNormalization(name='first')(inputs))
    fused = layers.ReLU()(layers.BatchNormalization(name='fused_relu')(stem))
    branch = layers.DepthwiseConv2D(3, padding='same')(fused)
    total = layers.Add()([fused, layers.BatchNormalization(name='fused_linear')(branch)])
    active = layers.ReLU()(layers.BatchNormalization(name='alone_relu')(total))
    total = layers.Add()([active, layers.BatchNormalization(name='alone_linear')(total)])
    joined = layers.Concatenate()([total, layers.BatchNormalization(name='joined')(layers.MaxPooling2D(1)(total))])
    pooled = layers.BatchNormalization(name='vectors')(layers.GlobalAveragePooling2D()(joined))
    return keras.Model(inputs, layers.Dense(3)(pooled))


def test_norms_of_all_kinds_freeze(tmp_path):
    one = learner(tmp_path, freeze_bn_delay=2)
    images = np.random.default_rng(0).normal(1, 2, (8, 8, 8, 2)).astype(np.float32)
    model = quantization_aware(norms_of_all_kinds(), images, Settings(freeze_norm_delay=2))
    norms = {layer.name: unwrapped(layer) for layer in model.layers if hasattr(unwrapped(layer), 'moving_mean')}
    assert len(norms) == 7 and any(is_wrapped(model.get_layer(name)) for name in norms)
    advance = one.trainer_parts(model, None).constraint
    step = tf.function(lambda: model(images, training=True))
    changes = []
    for number in range(4):
        before = {name: norm.moving_mean.numpy() for name, norm in norms.items()}
        step()
        advance(tf.constant(number + 1, tf.int64))
        changes.append({name for name, norm in norms.items() if np.any(norm.moving_mean.numpy() != before[name])})
    assert changes == [set(norms), set(norms), set(), set()]


def test_the_rate_is_a_share_of_that_of_the_net(tmp_path):
    one = learner(tmp_path, rate_factor=0.5)
    expected, num_steps = one.helper.setup_lrn_rate(1 / 30, 0.5)
    schedule, steps = one.schedule()
    assert steps == num_steps and float(schedule(0)) == float(expected(0))


def test_a_delay_beyond_the_end_is_refused(trained, tmp_path):
    late = learner(tmp_path, quant_delay=9999)
    for refuse in (late.check_inputs, lambda: late.compress(trained)):
        with pytest.raises(UsageError, match='--uqtf_quant_delay=9999: must be below the .* steps of training'):
            refuse()
    learner(tmp_path, quant_delay=3).check_inputs()


def network(*stack: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), *stack, keras.layers.Flatten(), keras.layers.Dense(10)])


def test_layers_whose_weights_stay_in_float_are_named():
    model = network(keras.layers.Reshape((8, 8)), keras.layers.Conv1D(3, 3, name='row'))
    wrapped = quantization_aware(model, np.zeros((2, 8, 8, 1), np.float32))
    assert left_in_float(model, wrapped) == {'row': 'weights stay in float: int8 is not simulated for Conv1D'}


def test_it_names_what_it_cannot_follow():
    declared = LEARNERS.declaration('uniform-tf')
    assert set(declared.refuses_after) == {'uniform', 'non-uniform'} and declared.must_be_last
    assert dataclasses.is_dataclass(UniformQuantizationTFOptions)
