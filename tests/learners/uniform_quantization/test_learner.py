from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.uniform_quantization.learner import UniformQuantizationOptions, UniformQuantLearner
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization import QuantizeActivation, quantized_layers
from pocketflow.utils.quantization.encoding import AffineEncoding
from tests.learners.conftest import make_context, make_helper


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return make_helper().build_model()


def learner(folder, **options) -> UniformQuantLearner:
    return UniformQuantLearner(
        make_context('lenet_at_digits', folder), UniformQuantizationOptions(**{'quant_epochs': 2, **options})
    )


def test_first_and_last_layer_stay_as_they_are(tmp_path, model):
    result = learner(tmp_path).compress(model)
    assert [layer.name for layer in quantized_layers(result.model)] == ['conv2', 'fc3']
    assert result.plan.kind == 'bits' and result.plan.values == {'conv2': 4, 'fc3': 4}
    assert result.plan.predicted == {'mean_bits': 4.0}
    rows = {row['layer']: row for row in result.layers}
    assert {name: row['bits'] for name, row in rows.items()} == {
        'conv1': [32, 32],
        'conv2': [32, 4],
        'fc3': [32, 4],
        'fc4': [32, 32],
    }
    assert rows['conv1']['note'] == 'skipped because: first layer' and rows['conv2']['note'] == ''
    assert rows['fc4']['note'] == 'skipped because: last layer'
    everything = learner(tmp_path / 'all', quantize_all_layers=True).compress(model)
    assert list(everything.plan.values) == ['conv1', 'conv2', 'fc3', 'fc4']


def test_a_stage_ends_with_codes(tmp_path, model):
    one = learner(tmp_path, weight_bits=3, use_buckets=True)
    result = one.run(model)
    assert result.encodings.keys() == {'conv2', 'fc3'}
    for name, encoding in result.encodings.items():
        assert isinstance(encoding, AffineEncoding) and encoding.bits == 3 and encoding.buckets.kind == 'channel'
        np.testing.assert_array_equal(result.model.get_layer(name).kernel, encoding.decode())
        assert len(np.unique(result.model.get_layer(name).kernel[..., 0])) <= 8
    assert [type(layer) for layer in result.model.layers] == [type(layer) for layer in model.layers]
    assert result.metrics['loss'] < result.metrics_compressed['loss']


def test_activations_are_quantized_in_the_end_too(tmp_path, model):
    one = learner(tmp_path, activation_bits=6)
    quantized = one.compress(model).model
    layers = [layer for layer in quantized.layers if isinstance(layer, QuantizeActivation)]
    assert [layer.name for layer in layers] == ['conv1_quantize', 'conv2_quantize', 'fc3_quantize']
    assert all(float(layer.quantizer.high) > 0 for layer in layers)  # calibrated
    finished = one.finish(quantized, None)
    images = one.helper.training_images(10)
    np.testing.assert_allclose(finished.model(images), quantized(images), atol=1e-6)
    hidden = keras.Model(finished.model.input, finished.model.get_layer('fc3_quantize').output)(images)
    assert len(np.unique(hidden)) <= 64


def test_symmetric_weights_can_be_exported_as_integers(tmp_path, model):
    one = learner(tmp_path, symmetric=True)
    assert one.export_formats == ('mixed', 'pfz', 'float32') and one.reference_format == 'float32'
    assert learner(tmp_path / 'other').export_formats == ('pfz', 'float32')
    encoding = one.finish(one.compress(model).model, None).encodings['fc3']
    assert encoding.buckets.kind == 'channel' and len(encoding.scales) == 256
    codes = encoding.codes.astype(int) - encoding.zero_code
    assert (codes.min(), codes.max()) == (-7, 7)


def test_the_schedule_is_the_pairs_own_in_fewer_epochs(tmp_path):
    one = learner(tmp_path, quant_epochs=3)
    schedule, num_steps = one.schedule()
    whole, num_whole = one.helper.setup_lrn_rate(3 / one.helper.num_epochs)
    assert num_steps == num_whole > 0
    factor = one.context.learner_options.rate_factor_finetune
    assert float(schedule(num_steps // 2)) == pytest.approx(factor * float(whole(num_steps // 2)))
    assert learner(tmp_path / 'none', quant_epochs=0).schedule()[1] == 0


def with_plan(folder, values, kind: str = 'bits', **options) -> UniformQuantLearner:
    CompressionPlan(kind, 'lenet', values).save(folder / 'plan.json')
    return learner(folder, bits_plan=str(folder / 'plan.json'), **options)


def test_a_plan_gives_layers_their_own_bits(tmp_path, model):
    one = with_plan(tmp_path, {'conv2': 7})
    one.check_inputs()
    result = one.compress(model)
    assert result.plan.values == {'conv2': 7, 'fc3': 4}
    sizes = {name: model.get_layer(name).count_params() for name in ('conv2', 'fc3')}
    expected = (7 * sizes['conv2'] + 4 * sizes['fc3']) / sum(sizes.values())
    assert result.plan.predicted['mean_bits'] == pytest.approx(expected)
    assert list(with_plan(tmp_path, {'conv2': 32}).compress(model).plan.values) == ['fc3']
    (tmp_path / 'run' / '1-uniform').mkdir(parents=True)
    result.plan.save(tmp_path / 'run' / '1-uniform' / 'plan.json')
    again = learner(tmp_path / 'again', bits_plan=str(tmp_path / 'run')).compress(model)
    assert again.plan.values == result.plan.values


def test_plans_that_can_be_refused_at_once(tmp_path):
    with pytest.raises(UsageError, match=r"--uql_bits_plan=.*: 17 bits for 'conv2'; give 1 to 16, or 32 for"):
        with_plan(tmp_path, {'conv2': 17}).check_inputs()
    with pytest.raises(UsageError, match=r"9 bits for 'conv2'; give 2 to 8, or 32"):
        with_plan(tmp_path, {'conv2': 9}, symmetric=True).check_inputs()
    with pytest.raises(UsageError, match=r'--uql_bits_plan=.*: a plan of sparsity; give one of bits'):
        with_plan(tmp_path, {'conv2': 0.5}, 'sparsity').check_inputs()
    with pytest.raises(UsageError, match='cannot read the compression plan'):
        learner(tmp_path, bits_plan=str(tmp_path / 'missing.json')).check_inputs()
    with pytest.raises(UsageError, match=r'--uql_bits_plan=.*: no plan of uniform in that run directory'):
        learner(tmp_path, bits_plan=str(tmp_path)).check_inputs()


def test_plans_that_do_not_fit_the_model(tmp_path, model):
    with pytest.raises(UsageError, match=r"made for another model .* no layer with weights 'conv9'"):
        with_plan(tmp_path, {'conv9': 4}).compress(model)
    with pytest.raises(
        UsageError,
        match=r'--uql_bits_plan: the plan quantizes conv1, which stays in full precision '
        r'\(first layer\); pass --uql_quantize_all_layers',
    ):
        with_plan(tmp_path, {'conv1': 4}).compress(model)
    assert with_plan(tmp_path, {'conv1': 4}, quantize_all_layers=True).compress(model).plan.values['conv1'] == 4
    with pytest.raises(UsageError, match='no layer is left to quantize'):
        with_plan(tmp_path, {'conv2': 32, 'fc3': 32}).compress(model)


def test_plans_that_do_not_fit_are_refused_before_training(tmp_path, model):
    with_plan(tmp_path, {'conv2': 7}).check_layers(lambda: model)
    learner(tmp_path).check_layers(lambda: model)
    with pytest.raises(UsageError, match=r"made for another model .* no layer with weights 'conv9'"):
        with_plan(tmp_path, {'conv9': 4}).check_layers(lambda: model)
    with pytest.raises(UsageError, match='no layer is left to quantize'):
        with_plan(tmp_path, {'conv2': 32, 'fc3': 32}).check_layers(lambda: model)


def test_a_model_of_first_and_last_layer_only(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dense(3)(inputs)))
    with pytest.raises(UsageError, match='no layer is left to quantize.*--uql_quantize_all_layers includes'):
        learner(tmp_path).compress(model)
