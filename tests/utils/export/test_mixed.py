from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras
from hypothesis import given
from hypothesis import strategies as st

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export import mixed
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.mixed import mixed_precision, symmetric_grid
from pocketflow.utils.export.operators import operators
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.export.weights import CHANNEL_AXES, Weights
from pocketflow.utils.quantization.encoding import kernel_name

WIDTHS = range(2, 9)


def build_net() -> keras.Model:
    """A batch norm behind convolutions, one alone before a convolution, a depthwise convolution, two dense layers."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6, 6, 3))
    features = keras.layers.Conv2D(5, 3, padding='same', use_bias=False, name='conv')(inputs)
    features = stem = keras.layers.ReLU()(keras.layers.BatchNormalization()(features))
    features = keras.layers.Conv2D(5, 3, padding='same', name='conv_1')(features)
    features = keras.layers.BatchNormalization(name='alone')(keras.layers.Add()([stem, features]))
    features = keras.layers.Conv2D(7, 1, use_bias=False, name='conv_10')(features)
    features = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(features))
    features = keras.layers.DepthwiseConv2D(3, padding='same', use_bias=False, name='depthwise')(features)
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(features))
    features = keras.layers.Dense(9, activation='relu', name='dense')(features)
    return randomise(keras.Model(inputs, keras.layers.Dense(4, name='dense_1')(features), name='small'))


def randomise(model: keras.Model) -> keras.Model:
    """Weights of both signs for the batch norms, too, so that folding them changes the channels' scales and signs."""
    rng = np.random.default_rng(0)
    for variable in model.variables:
        positive = 'moving_variance' in variable.name
        variable.assign(rng.uniform(0.5 if positive else -1, 2 if positive else 1, variable.shape))
    return model


def copy_of(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def put_on_grids(model: keras.Model, bits: dict[str, int]) -> keras.Model:
    """Rounds the kernels to symmetric grids, with one scale per output channel."""
    for name, width in bits.items():
        layer = model.get_layer(name)
        kernel = getattr(layer, kernel_name(layer))
        values, top = kernel.numpy(), 2 ** (width - 1) - 1
        axes = (0, 1) if name == 'depthwise' else tuple(range(values.ndim - 1))
        scales = np.abs(values).max(axes, keepdims=True) / top
        kernel.assign((np.rint(values / scales) * scales).astype(np.float32))
    return model


LAYERS = ('conv', 'conv_1', 'conv_10', 'depthwise', 'dense', 'dense_1')


@pytest.fixture(scope='module')
def small_net() -> keras.Model:
    return build_net()


@pytest.fixture(scope='module')
def content(small_net) -> bytes:
    return convert(small_net, 'float32')


@pytest.fixture(scope='module')
def inputs() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(5, 6, 6, 3)).astype(np.float32)


@pytest.fixture
def info(monkeypatch) -> list[str]:
    """What is logged."""
    lines: list[str] = []
    monkeypatch.setattr(mixed.logging, 'info', lambda text, *values: lines.append(text % values))
    return lines


def types(content: bytes) -> dict[str, str]:
    """The type of each layer's weights."""
    weights = Weights(content)
    return {
        layer: weights.type_of(operator) for operator in weights.operators() for layer in operator.layers & set(LAYERS)
    }


def values(content: bytes) -> dict[str, np.ndarray]:
    """The real weights of each layer, folded batch norms included."""
    weights = Weights(content)
    return {
        layer: weights.read(operator) for operator in weights.operators() for layer in operator.layers & set(LAYERS)
    }


# ------------------------------------------------------------------------------------------------ the grid


def test_grid_by_hand():
    weights = np.array([[0.7, -0.35, 0.1], [-2, 0.5, 0], [0, 0, 0]], np.float32)
    codes, scales = symmetric_grid(weights, 3)  # largest code 3
    assert codes.tolist() == [[3, -2, 0], [-3, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(scales, [0.7 / 3, 2 / 3, 1], rtol=1e-6)


def test_a_coarser_grid_that_fits_is_taken():
    weights = np.array([[5, -3, 1], [4, 2, -2]], np.float32) * np.float32(0.1)
    codes, scales = symmetric_grid(weights, 4)  # 5/7 and 3/7 of .5 are no whole codes; 4 and 2 are 6 and 3
    assert codes.tolist() == [[5, -3, 1], [6, 3, -3]]
    np.testing.assert_allclose(scales, [0.1, 0.4 / 6], rtol=1e-6)


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_what_is_on_a_grid_keeps_its_value(bits, seed):
    rng = np.random.default_rng(seed)
    top = 2 ** (bits - 1) - 1
    steps = np.float32(10.0) ** rng.uniform(-4, 2, (4, 1)).astype(np.float32)
    weights = rng.integers(-top, top + 1, (4, 9)).astype(np.float32) * steps
    codes, scales = symmetric_grid(weights, bits)
    assert np.abs(codes.astype(int)).max() <= top
    np.testing.assert_allclose(codes * scales[:, np.newaxis], weights, rtol=1e-6)


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_nothing_moves_by_more_than_half_a_step(bits, seed):
    weights = np.random.default_rng(seed).normal(size=(3, 20)).astype(np.float32)
    codes, scales = symmetric_grid(weights, bits)
    half_steps = np.abs(weights).max(1, keepdims=True) / (2 ** (bits - 1) - 1) / 2
    assert (np.abs(codes * scales[:, np.newaxis] - weights) <= half_steps * (1 + 1e-5)).all()


# ------------------------------------------------------------------------------------------------ the file


@pytest.mark.parametrize('activations', mixed.ACTIVATIONS)
def test_the_file_holds_the_types_that_were_asked_for(content, activations):
    bits = {'conv': 4, 'conv_1': 8, 'conv_10': 2, 'depthwise': 5, 'dense': 3, 'dense_1': 6}
    result = mixed_precision(content, bits, activations)
    assert types(result) == {
        'conv': 'INT4',
        'conv_1': 'INT8',
        'conv_10': 'INT4',
        'depthwise': 'INT8',
        'dense': 'INT4',
        'dense_1': 'INT8',
    }
    assert operators(result)['DEQUANTIZE'] == (6 if activations == 'float32' else 1)  # the depthwise convolution's


def test_a_name_is_matched_whole(content):
    assert types(mixed_precision(content, {'conv_1': 4})) == {
        'conv': 'FLOAT32',
        'conv_1': 'INT4',
        'conv_10': 'FLOAT32',
        'depthwise': 'FLOAT32',
        'dense': 'FLOAT32',
        'dense_1': 'FLOAT32',
    }
    found = types(mixed_precision(content, {'dense': 4}))
    assert (found['dense'], found['dense_1']) == ('INT4', 'FLOAT32')


@pytest.mark.parametrize('width', WIDTHS)
def test_weights_on_a_grid_keep_their_values(small_net, info, width):
    bits = dict.fromkeys(LAYERS, width)
    source = convert(put_on_grids(copy_of(small_net), bits), 'float32')
    wanted = values(source)
    for activations in mixed.ACTIVATIONS:
        found = values(mixed_precision(source, bits, activations))
        assert set(found) == set(LAYERS)
        for layer in LAYERS:
            np.testing.assert_allclose(found[layer], wanted[layer], rtol=1e-6, err_msg=layer)
    assert not any('rounded' in line for line in info)


def test_a_grid_for_the_whole_tensor_and_a_wider_type_keep_the_values_too(small_net):
    copy = copy_of(small_net)
    kernel = copy.get_layer('conv').kernel
    scale = np.abs(kernel.numpy()).max() / 7
    kernel.assign(np.rint(kernel.numpy() / scale) * scale)
    source = convert(copy, 'float32')
    for width in (4, 8):
        np.testing.assert_allclose(
            values(mixed_precision(source, {'conv': width}))['conv'], values(source)['conv'], rtol=1e-6
        )


def test_other_weights_are_rounded_and_it_is_said(content, info):
    result = values(mixed_precision(content, {'conv_1': 4}))['conv_1']
    wanted = values(content)['conv_1']
    steps = np.abs(wanted).max((1, 2, 3), keepdims=True) / 7
    assert np.abs(result - wanted).max() > 0 and (np.abs(result - wanted) <= steps / 2 * 1.0001).all()
    assert len(info) == 1 and info[0].startswith('1 of 1 layers had weights on no ') and info[0].endswith(': conv_1')


def test_the_file_computes_what_its_weights_say(small_net, inputs):
    copy = copy_of(small_net)
    bits = dict(zip(LAYERS, (4, 3, 8, 8, 6, 4), strict=True))
    source = convert(put_on_grids(copy, bits), 'float32')
    logits = copy(inputs, training=False).numpy()
    exact, fast = (LiteRtRunner(mixed_precision(source, bits, activations)) for activations in ('float32', 'int8'))
    np.testing.assert_allclose(exact.predict(inputs), logits, atol=1e-5 * np.ptp(logits))
    difference = np.abs(fast.predict(inputs) - logits).max() / np.ptp(logits)
    assert 1e-5 < difference < 0.05


@pytest.mark.parametrize('activations', mixed.ACTIVATIONS)
def test_a_batch_gives_what_its_samples_give(content, inputs, activations):
    runner = LiteRtRunner(mixed_precision(content, dict(zip(LAYERS, (4, 8, 4, 8, 4, 8), strict=True)), activations))
    whole = runner.predict(inputs)
    one_by_one = np.concatenate([runner.predict(inputs[place : place + 1]) for place in range(len(inputs))])
    np.testing.assert_allclose(whole, one_by_one, atol=1e-4 * np.ptp(whole))


def test_depthwise_weights_of_few_bits_become_int8_with_a_word(content, info):
    result = mixed_precision(content, {'depthwise': 3})
    assert types(result)['depthwise'] == 'INT8'
    assert info[0] == (
        'layer depthwise: LiteRT has no int4 for depthwise convolutions, the 3-bit weights are stored as int8'
    )
    tensor = next(operator for operator in Weights(result).operators() if operator.kind == 'DEPTHWISE_CONV_2D')
    channels = np.moveaxis(Weights(result).read(tensor), CHANNEL_AXES[tensor.kind], 0).reshape(7, -1)
    assert all(len(np.unique(np.abs(channel).round(5))) <= 4 for channel in channels)  # |codes| 0..3


def test_wide_weights_stay_float(content):
    assert types(mixed_precision(content, {'conv': 9, 'dense': 8}))['conv'] == 'FLOAT32'
    assert mixed_precision(content, {'conv': 16}) == content
    assert mixed_precision(content, {}) == content


def test_large_files_keep_their_weights_behind_the_flatbuffer():
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((640,)),
            keras.layers.Dense(900, name='wide'),
            keras.layers.ReLU(),
            keras.layers.Dense(3, name='last'),
        ]
    )
    source = convert(put_on_grids(net, {'wide': 3, 'last': 3}), 'float32')
    result = mixed_precision(source, {'wide': 3, 'last': 3})
    assert len(source) / len(result) > 7
    before, after = (Weights(file) for file in (source, result))
    for old, new in zip(before.operators(), after.operators(), strict=True):
        assert after.type_of(new) == 'INT4'
        np.testing.assert_allclose(after.read(new), before.read(old), rtol=1e-6)


@pytest.mark.parametrize(
    ('bits', 'message'),
    [
        ({'conv_2': 4}, "layer 'conv_2' cannot be found in the .tflite file: .* leave it out of the bits plan"),
        ({'small': 4}, "layer 'small' cannot be found"),
        ({'Conv2D': 4}, "layer 'Conv2D' cannot be found"),
        ({'alone': 4}, "layer 'alone' cannot be found"),
        ({'conv': 1}, "layer 'conv' has weights of 1 bits; .* 2 to 8 bits"),
    ],
)
def test_plans_that_do_not_fit(content, bits, message):
    with pytest.raises(PocketFlowError, match=message):
        mixed_precision(content, bits)


def test_a_file_that_is_already_quantized_is_refused(content):
    with pytest.raises(PocketFlowError, match="layer 'conv' are not float32"):
        mixed_precision(mixed_precision(content, {'conv': 4}), {'conv': 8})


def test_failures_of_the_quantizer_take_one_line(content, monkeypatch):
    from ai_edge_quantizer import quantizer

    def fail(self):
        raise ValueError('no such thing\nand much more')

    monkeypatch.setattr(quantizer.Quantizer, 'quantize', fail)
    with pytest.raises(PocketFlowError, match='^the weights of the .tflite file cannot be quantized: no such thing$'):
        mixed_precision(content, {'conv': 4})


def test_it_is_quiet(content, capfd):
    mixed_precision(content, {'conv': 4})
    assert capfd.readouterr() == ('', '')
