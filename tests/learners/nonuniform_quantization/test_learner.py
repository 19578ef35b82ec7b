from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.nonuniform_quantization.learner import NonUniformQuantizationOptions, NonUniformQuantLearner
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization import codebook_variables, quantized_layers
from pocketflow.utils.quantization.encoding import CodebookEncoding
from tests.learners.conftest import make_context, make_helper


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return make_helper().build_model()


def learner(folder, **options) -> NonUniformQuantLearner:
    return NonUniformQuantLearner(
        make_context('lenet_at_digits', folder), NonUniformQuantizationOptions(**{'quant_epochs': 2, **options})
    )


def test_a_stage_ends_with_code_books(tmp_path, model):
    result = learner(tmp_path, weight_bits=2, use_buckets=True, opt_mode='both').run(model)
    assert result.encodings.keys() == {'conv2', 'fc3'}
    for name, encoding in result.encodings.items():
        assert isinstance(encoding, CodebookEncoding) and encoding.bits == 2
        assert (encoding.buckets.kind, encoding.buckets.size) == ('split', 256)
        np.testing.assert_array_equal(result.model.get_layer(name).kernel, encoding.decode())
    assert result.layers[1]['bits'] == [32, 2]
    assert result.metrics['loss'] < result.metrics_compressed['loss']


def trained_parts(folder, model, mode: str) -> tuple[bool, bool]:
    """Whether a little training changes (kernels and biases, code books)."""
    one = learner(folder, opt_mode=mode, quant_epochs=0.2)
    one.context.folder.mkdir()
    compressed = one.compress(model)
    quantized = compressed.model
    books = codebook_variables(quantized)
    others = [layer.kernel_variable for layer in quantized_layers(quantized)] + [quantized.get_layer('conv1').bias]
    before = [[variable.numpy() for variable in part] for part in (others, books)]
    one._train(compressed)
    return tuple(
        any((old != new.numpy()).any() for old, new in zip(values, part, strict=True))
        for values, part in zip(before, (others, books), strict=True)
    )


@pytest.mark.parametrize(
    'mode, expected',
    [('weights', (True, False)), ('cluster', (False, True)), ('clusters', (False, True)), ('both', (True, True))],
)
def test_modes(tmp_path, model, mode, expected):
    assert trained_parts(tmp_path, model, mode) == expected


@pytest.mark.parametrize('style', ['quantile', 'uniform'])
@pytest.mark.parametrize('bucket_type', ['split', 'channel'])
def test_code_books_start_near_the_weights(tmp_path, model, style, bucket_type):
    one = learner(tmp_path, init_style=style, use_buckets=True, bucket_type=bucket_type)
    finished = one.finish(one.compress(model).model, None)
    kernel = model.get_layer('fc3').kernel.numpy()
    error = finished.model.get_layer('fc3').kernel.numpy() - kernel
    assert np.square(error).mean() < 0.006 * np.square(kernel).mean()


def test_buckets_are_not_larger_than_the_layer(tmp_path, model):
    one = learner(tmp_path, use_buckets=True, bucket_size=10**6)
    assert one.make_quantizer(model.get_layer('fc4'), 4).buckets.size == 2560


def test_a_plan_is_read_by_its_own_flag(tmp_path, model):
    CompressionPlan('bits', 'lenet', {'conv2': 9}).save(tmp_path / 'plan.json')
    with pytest.raises(UsageError, match=r"--nuql_bits_plan=.*: 9 bits for 'conv2'; give 1 to 8"):
        learner(tmp_path, bits_plan=str(tmp_path / 'plan.json')).check_inputs()
    CompressionPlan('bits', 'lenet', {'conv2': 3}).save(tmp_path / 'plan.json')
    assert learner(tmp_path, bits_plan=str(tmp_path / 'plan.json')).compress(model).plan.values['conv2'] == 3


@pytest.mark.parametrize(
    'options, message',
    [
        ({'weight_bits': 9}, '--nuql_weight_bits=9: must be a number >= 1 and <= 8'),
        ({'activation_bits': 33}, '--nuql_activation_bits=33: must be a number >= 2 and <= 32'),
        ({'opt_mode': 'all'}, '--nuql_opt_mode=all: must be one of weights, cluster, clusters, both'),
        ({'init_style': 'random'}, '--nuql_init_style=random: must be one of quantile, uniform'),
        ({'quant_epochs': -1}, '--nuql_quant_epochs=-1: must be a number >= 0'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UsageError, match=message):
        NonUniformQuantizationOptions(**options)
