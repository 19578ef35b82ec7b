"""A network as its file computes it: chosen codes and ranges are those in the file."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.post_training.folding import folded
from pocketflow.learners.post_training.quantizing import quantize_post_training
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.narrow import with_int4_weights
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.weights import Weights
from pocketflow.utils.quantization.int8 import plain_if_quantization_aware

k = keras.layers


def network() -> keras.Model:
    """A residual network with a dead ReLU, a batch norm apart, and two outputs."""
    inputs = keras.Input((10, 10, 3), name='images')
    features = k.ReLU(name='relu')(k.BatchNormalization()(k.Conv2D(8, 3, use_bias=False, name='conv')(inputs)))
    branch = k.ReLU(6.0)(k.BatchNormalization()(k.DepthwiseConv2D(3, padding='same', name='depthwise')(features)))
    total = k.Add()([features, k.Conv2D(8, 1, name='pointwise')(branch)])
    dead = k.ReLU(name='dead')(k.Conv2D(4, 1, bias_initializer=keras.initializers.Constant(-100), name='never')(total))
    pooled = k.GlobalAveragePooling2D()(k.ReLU()(k.BatchNormalization(name='apart')(total)))
    return keras.Model(
        inputs, {'logits': k.Dense(5, name='logits')(pooled), 'map': k.Conv2D(2, 1, name='map')(dead)}, name='net'
    )


@pytest.fixture(scope='module')
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return network()


@pytest.fixture(scope='module')
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(64, 10, 10, 3)).astype(np.float32)


@pytest.fixture(scope='module')
def narrow(model, images):
    """4 bits, AdaRound, and the codes that were reported layer by layer."""
    codes: dict[str, np.ndarray] = {}
    result = quantize_post_training(model, images, 4, num_iterations=30, keep_codes=codes.__setitem__, equalize=True)
    return result, codes


@pytest.fixture(scope='module')
def content(narrow) -> bytes:
    return convert(narrow[0].model, 'int8')


def test_the_file_holds_the_chosen_codes_and_ranges(narrow, content, images):
    result, codes = narrow
    assert result.plan.values == {
        'conv': 8, 'depthwise': 4, 'pointwise': 4, 'never': 4, 'logits': 4, 'map': 8,
    }  # fmt: skip
    weights = Weights(content)
    found = {layer: weights.codes(one) for one in weights.operators() for layer in one.layers}
    assert {*codes} == {*result.plan.values}
    for name, chosen in codes.items():
        in_file = np.moveaxis(found[name], {'depthwise': 3}.get(name, 0), -1)
        np.testing.assert_array_equal(in_file.reshape(chosen.shape), chosen)
    outputs = result.model(images, training=False)
    for file in (content, with_int4_weights(content)):
        made = LiteRtRunner(file).predict(images)
        for name, wanted in outputs.items():
            np.testing.assert_allclose(made[name], wanted, atol=0.03 * max(np.ptp(wanted), 1))


def test_a_dead_relu_has_a_floor(narrow):
    low, high = narrow[0].model.get_layer('dead').range
    assert low == 0 and high > 0.1


def test_an_interrupted_call_continues_with_the_known_codes(narrow, model, images, monkeypatch):
    result, codes = narrow
    known = dict([*codes.items()][:4])
    rounded: list[str] = []
    again = quantize_post_training(
        model,
        images,
        4,
        num_iterations=30,
        known_codes=known,
        keep_codes=lambda name, codes: rounded.append(name),
        equalize=True,
    )
    assert rounded == [*codes][4:]
    for one, other in zip(result.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_mean_outputs_stay(model, images):
    plain = folded(model)
    wanted = plain(images)['logits'].numpy()

    def offset(result: keras.Model) -> float:
        return float(np.abs((result(images)['logits'].numpy() - wanted).mean(0)).max())

    corrected = quantize_post_training(model, images, 4, rounding='nearest')
    other = quantize_post_training(model, images, 4, rounding='nearest', bias_correction=False)
    assert offset(corrected.model) < 0.1 * offset(other.model)


def test_least_errors_within_a_budget(model, images):
    whole = quantize_post_training(model, images, rounding='nearest', bias_correction=False)
    budget = len(convert(whole.model, 'int8')) - 60
    result = quantize_post_training(model, images, 'mixed', max_bytes=budget, rounding='nearest', bias_correction=False)
    assert set(result.plan.values.values()) == {4, 8} and result.plan.values['conv'] == 8
    assert budget - 40 < len(with_int4_weights(convert(result.model, 'int8'))) <= budget


def test_a_budget_out_of_reach(model, images):
    with pytest.raises(UsageError, match=r'^at most 10 bytes: out of reach, the weights .* alone take'):
        quantize_post_training(model, images, 'mixed', max_bytes=10)


def test_the_plain_model_has_the_rounded_weights(narrow):
    result, codes = narrow
    plain = plain_if_quantization_aware(result.model)
    kernel = plain.get_layer('pointwise').kernel.numpy().reshape(codes['pointwise'].shape)
    np.testing.assert_allclose(kernel / np.abs(kernel).max(0) * 7, codes['pointwise'], atol=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'weight_bits': 9}, r'weight_bits=9: give 2 to 8'),
        ({'weight_bits': {'nothing': 4}}, "layers names 'nothing', which cannot be quantized"),
        ({'weight_bits': 'mixed'}, 'max_bytes'),
        ({'max_bytes': 1000}, "only weight_bits='mixed'"),
        ({'calibration': 'best'}, 'give one of minmax, percentile, mse'),
        ({'rounding': 'up'}, 'nearest, adaround'),
    ],
)
def test_wrong_arguments(model, images, arguments, message):
    with pytest.raises(UsageError, match=message):
        quantize_post_training(model, images[:4], **arguments)
