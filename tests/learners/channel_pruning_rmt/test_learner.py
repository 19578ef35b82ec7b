from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning import memory
from pocketflow.learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from pocketflow.utils.channels import drop_inputs
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from tests.learners.conftest import make_context, make_helper

layers = keras.layers


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    features = layers.Conv2D(8, 3, padding='same', use_bias=False, name='conv1')(inputs)
    features = layers.ReLU(name='relu1')(layers.BatchNormalization(name='bn1')(features))
    features = layers.Conv2D(6, 3, padding='same', activation='relu', name='conv2')(features)
    features = layers.Flatten(name='flatten')(layers.MaxPooling2D(2, name='pool')(features))
    features = layers.Dense(12, activation='relu', name='hidden')(features)
    return keras.Model(inputs, layers.Dense(10, name='logits')(features), name='net')


def learner(tmp_path, **options) -> ChannelPrunedRmtLearner:
    options = ChannelPruningOptions(**{'num_images': 300, 'num_positions': 8, **options})
    return ChannelPrunedRmtLearner(make_context('lenet_at_digits', tmp_path), options)


def compress(tmp_path, model=None, **options):
    return learner(tmp_path, **options).compress(net() if model is None else model)


def test_channels_are_removed_where_they_are_made(tmp_path):
    result = compress(tmp_path, prune_ratio=0.5)
    kernels = {
        name: result.model.get_layer(name).kernel.shape.as_list() for name in ('conv1', 'conv2', 'hidden', 'logits')
    }
    assert kernels == {'conv1': [3, 3, 1, 4], 'conv2': [3, 3, 4, 3], 'hidden': [48, 12], 'logits': [12, 10]}
    assert [type(layer).__name__ for layer in result.model.layers] == [type(layer).__name__ for layer in net().layers]
    rows = {row['layer']: row for row in result.layers}
    assert rows['conv2']['inputs'] == [8, 4] and rows['conv2']['macs'] == [8 * 8 * 9 * 8 * 6, 8 * 8 * 9 * 4 * 3]
    assert rows['conv1']['note'] == 'inputs kept: first convolution'


def test_ratio_zero_changes_nothing(tmp_path):
    model = net()
    result = compress(tmp_path, model, prune_ratio=0.0)
    images = make_helper().training_images(20, seed=5)
    np.testing.assert_allclose(result.model(images), model(images), atol=1e-2)


def shared_net(is_shared: bool) -> keras.Model:
    """A residual net whose activations are one layer, or a layer each."""
    keras.utils.set_random_seed(0)
    one = layers.ReLU(name='relu')
    activations = iter(3 * [one] if is_shared else [layers.ReLU(name=f'relu{number}') for number in range(3)])
    inputs = keras.Input((8, 8, 1))
    stem = next(activations)(layers.Conv2D(8, 3, padding='same', name='stem')(inputs))
    branch = next(activations)(layers.Conv2D(8, 3, padding='same', name='first')(stem))
    total = layers.Add(name='add')([stem, layers.Conv2D(8, 3, padding='same', name='second')(branch)])
    features = layers.GlobalAveragePooling2D(name='pool')(next(activations)(total))
    return keras.Model(inputs, layers.Dense(10, name='logits')(features), name='net')


@pytest.mark.parametrize('dense', ['hidden', 'all'])
def test_an_activation_may_be_called_at_several_places(tmp_path, dense):
    separate, shared = (compress(tmp_path, shared_net(is_shared), dense=dense) for is_shared in (False, True))
    assert shared.plan.values == separate.plan.values
    assert {name: len(kept) for name, kept in shared.plan.values.items() if name != 'logits'} == {
        'first': 4,
        'second': 4,
    }
    for one, two in zip(shared.model.get_weights(), separate.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_lasso_and_refitting_beat_dropping_the_same_channels(tmp_path):
    model = net()
    images = make_helper().training_images(200, seed=5)
    exact = model(images).numpy()
    result = compress(tmp_path, model, prune_ratio=0.5)
    dropped = drop_inputs(model, result.plan.values)(images).numpy()
    ours = result.model(images).numpy()
    assert np.square(ours - exact).mean() < 0.7 * np.square(dropped - exact).mean()


def test_a_saved_plan_repeats_the_model(tmp_path):
    model = net()
    first = compress(tmp_path, model, selector='random')
    first.plan.save(tmp_path / 'plan.json')
    again = compress(tmp_path, model, warm_start=True, plan_path=str(tmp_path / 'plan.json'))
    assert again.plan.values == first.plan.values
    for one, two in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    (tmp_path / 'run' / '1-chn-pruned-rmt').mkdir(parents=True)
    first.plan.save(tmp_path / 'run' / '1-chn-pruned-rmt' / 'plan.json')
    from_run = compress(tmp_path, model, warm_start=True, plan_path=str(tmp_path / 'run'))
    assert from_run.plan.values == first.plan.values


@pytest.mark.parametrize(
    ('layer', 'options', 'message'),
    [
        ('conv2', {'skip_last': True}, 'prunes conv2, which cpr_skip_last_layer skips; pass --nocpr_skip_last_layer'),
        ('hidden', {'dense': 'none'}, 'prunes hidden, which cpr_dense_layers skips; pass --cpr_dense_layers=all'),
        (
            'hidden',
            {'skip_names': 'hid'},
            'prunes hidden, which cpr_skip_op_names skips; pass other --cpr_skip_op_names',
        ),
    ],
)
def test_a_plan_for_skipped_layers_is_refused(tmp_path, layer, options, message):
    CompressionPlan('channels', 'net', {layer: (0, 1)}, {layer: {'conv2': 8, 'hidden': 6}[layer]}).save(
        tmp_path / 'plan.json'
    )
    with pytest.raises(UsageError, match=message):
        compress(tmp_path, warm_start=True, plan_path=str(tmp_path / 'plan.json'), **options)


def test_what_cannot_work_is_refused_before_training(tmp_path):
    learner(tmp_path, skip_names='conv2').check_layers(net)
    with pytest.raises(
        UsageError,
        match="--cpr_skip_op_names=cnov2: no layer .* has 'cnov2' in its name; those are conv1, conv2, hidden, logits",
    ):
        learner(tmp_path, skip_names='cnov2').check_layers(net)
    with pytest.raises(UsageError, match='no layer is left to prune'):
        learner(tmp_path, skip_names='conv,hidden').check_layers(net)
    planned = learner(tmp_path, warm_start=True, plan_path=str(tmp_path / 'plan.json'))
    CompressionPlan('channels', 'net', {'conv2': (0,)}, {'conv2': 8}).save(tmp_path / 'plan.json')
    planned.check_inputs()
    planned.check_model(net)
    CompressionPlan('channels', 'net', {'conv2': (0,)}, {'conv2': 4}).save(tmp_path / 'plan.json')
    planned.check_layers(net)
    with pytest.raises(UsageError, match="made for another model.*'conv2' has 8 input channels, the plan expects 4"):
        planned.check_model(net)
    CompressionPlan('sparsity', 'net', {'conv2': 0.5}).save(tmp_path / 'plan.json')
    with pytest.raises(UsageError, match='--cpr_save_path_ws=.*plan.json: a plan of sparsity; give one of channels'):
        planned.check_inputs()


def test_bad_input(tmp_path):
    with pytest.raises(UsageError, match='no layer is left to prune'):
        compress(tmp_path, skip_names='conv,hidden')
    with pytest.raises(UsageError, match='--cpr_warm_start and --cpr_save_path_ws=PLAN go together'):
        ChannelPruningOptions(warm_start=True)
    with pytest.raises(UsageError, match='--cpr_save_path_ws=.*: no plan of chn-pruned-rmt in that run directory'):
        compress(tmp_path, warm_start=True, plan_path=str(tmp_path))
    other = CompressionPlan('channels', 'other', {'conv9': (0,)}, {'conv9': 2})
    other.save(tmp_path / 'plan.json')
    with pytest.raises(UsageError, match='made for another model.*conv9'):
        compress(tmp_path, warm_start=True, plan_path=str(tmp_path / 'plan.json'))
    with pytest.raises(UsageError, match='--cpr_prune_ratio=1.0: must be a number >= 0 and < 1$'):
        ChannelPruningOptions(prune_ratio=1.0)
    assert ChannelPruningOptions(prune_ratio=0.995).prune_ratio == 0.995
    with pytest.raises(UsageError, match='--cpr_lstsq_ridge=1e-20: must be a number >= 1e-10$'):
        ChannelPruningOptions(ridge=1e-20)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('selector', ['lasso', 'obs'])
def test_the_least_damping_is_enough_for_a_single_sample(tmp_path, selector):
    result = compress(tmp_path, num_images=1, num_positions=1, ridge=1e-10, selector=selector)
    assert all(np.isfinite(weights).all() for weights in result.model.get_weights())


def test_memory_is_looked_at_before_training(tmp_path, monkeypatch):
    learner(tmp_path).check_model(net)
    monkeypatch.setattr(memory, 'available_bytes', lambda: 1_000_000)
    with pytest.raises(
        UsageError,
        match=r'^choosing channels on 300 images would take .* of memory, of which '
        r'layer hidden \(96 weights in each of 12 filters\) .*; 1 MB are .*--cpr_',
    ):
        learner(tmp_path).check_model(net)


def test_a_network_that_cannot_gain_comes_back_as_large_as_it_was(tmp_path, caplog):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    stem = layers.Conv2D(8, 3, padding='same', name='stem')(inputs)
    side = layers.Conv2D(1, 1, name='side')(stem)  # the logits need all of `stem`, and reading it takes eight each
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(x) for x in (stem, side)])
    model = keras.Model(inputs, layers.Dense(10, name='logits')(pooled), name='net')
    with caplog.at_level('WARNING'):
        result = compress(tmp_path, model)
    assert [weight.shape for weight in result.model.weights] == [weight.shape for weight in model.weights]
    assert {row['layer']: row['note'] for row in result.layers}['side'] == (
        'skipped because: no multiply-adds would be saved'
    )
    assert 'channel pruning saves nothing here' in caplog.text
