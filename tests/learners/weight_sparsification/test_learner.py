"""The learner: plans, exact zeros in the finished model, continuation, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.abstract_learner import StageResult
from pocketflow.learners.full_precision.learner import FullPrecLearner
from pocketflow.learners.weight_sparsification.learner import (
    WeightSparseLearner,
    WeightSparseOptions,
    load_sparsity_plan,
    sparsity_rows,
)
from pocketflow.learners.weight_sparsification.masks import num_zeros_now
from pocketflow.learners.weight_sparsification.selection import kernels_of, skip_reasons
from pocketflow.utils.channels import remove_channels
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options
from pocketflow.utils.reports.layer_table import format_rows
from pocketflow.utils.system.interrupts import Interrupted
from pocketflow.utils.system.progress import Progress
from pocketflow.utils.training.distillation import Distillation
from pocketflow.utils.training.trainer import TrainerOptions
from tests.learners.conftest import make_context, make_helper

NAMES = ('conv1', 'conv2', 'fc3', 'fc4')
SIZES = {'conv1': 800, 'conv2': 51200, 'fc3': 65536, 'fc4': 2560}


def make_learner(folder: Path, epochs: float = 1 / 20, summary_step: int = 20, **options) -> WeightSparseLearner:
    context = make_context('lenet_at_digits', folder, epochs_ratio_finetune=epochs)
    trainer = TrainerOptions(compute_dtype='float32', summary_step=summary_step, save_step=100)
    return WeightSparseLearner(
        dataclasses.replace(context, trainer_options=trainer), WeightSparseOptions(**{'protocol': 'uniform', **options})
    )


def new_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return make_helper().build_model()


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> keras.Model:
    """LeNet after two epochs."""
    keras.utils.set_random_seed(0)
    return FullPrecLearner(make_context('lenet_at_digits', tmp_path_factory.mktemp('full')), Options()).run(None).model


def zeros(model: keras.Model) -> dict[str, int]:
    return {layer.name: sum(map(num_zeros_now, kernels_of(layer))) for layer in model.layers if kernels_of(layer)}


def plan_file(folder: Path, values: dict[str, float], kind: str = 'sparsity') -> str:
    CompressionPlan(kind, 'lenet', values).save(folder / 'plan.json')
    return str(folder / 'plan.json')


def run(one: WeightSparseLearner, model: keras.Model) -> StageResult:
    keras.utils.set_random_seed(0)
    return one.run(model)


def test_sparsity_is_exact_and_accuracy_stays(trained, tmp_path):
    one = make_learner(tmp_path, prune_ratio=0.9)
    before = one.helper.evaluate(trained)['accuracy']
    result = run(one, trained)
    assert zeros(result.model) == {'conv1': 720, 'conv2': 46080, 'fc3': 58982, 'fc4': 2304}
    assert before > 0.85 and result.metrics['accuracy'] > before - 0.05
    assert result.metrics_compressed['accuracy'] == before  # pruning happens during the training
    assert sum(zeros(trained).values()) == 0  # the given model was left as it was
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert lines[0]['sparsity'] < 0.8 and lines[-1]['sparsity'] == pytest.approx(0.9, abs=1e-4)


def test_pruning_while_training_beats_pruning_at_the_end(trained, tmp_path):
    def accuracy(name: str, **options) -> float:
        return run(make_learner(tmp_path / name, prune_ratio=0.9, **options), trained).metrics['accuracy']

    assert accuracy('gradual') > accuracy('late', begin=1.0, end=1.0) + 0.2


def test_without_training_the_zeros_are_there_too(trained, tmp_path):
    result = run(make_learner(tmp_path, epochs=0), trained)
    assert zeros(result.model) == {name: size * 3 // 4 for name, size in SIZES.items()}
    for layer in result.model.layers:
        given = trained.get_layer(layer.name)
        for kernel, old in zip(kernels_of(layer), kernels_of(given), strict=True):
            left = kernel.numpy() != 0
            np.testing.assert_array_equal(kernel.numpy()[left], old.numpy()[left])
            assert np.abs(old.numpy()[~left]).max() <= np.abs(old.numpy()[left]).min()
        if kernels_of(layer):
            np.testing.assert_array_equal(layer.bias, given.bias)


CONTINUED = {'summary_step': 5, 'prune_ratio': 0.8, 'update_step': 3}


@pytest.fixture(scope='module')
def uninterrupted(trained, tmp_path_factory) -> StageResult:
    return run(make_learner(tmp_path_factory.mktemp('whole'), **CONTINUED), trained)


@pytest.mark.parametrize('stop', [10, 40])
def test_interrupted_and_continued_is_as_good_as_never_stopped(trained, uninterrupted, tmp_path, monkeypatch, stop):
    """Stopped while pruning goes on (until the middle of the training), and after it."""

    def interrupt(self, values, note=''):
        if 'loss' in values and self.step == stop:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Progress, 'report', interrupt)
    with pytest.raises(Interrupted):
        run(make_learner(tmp_path, **CONTINUED), trained)
    monkeypatch.undo()
    assert (tmp_path / 'stage' / 'checkpoints' / f'ckpt-{stop}.index').exists()
    keras.utils.set_random_seed(99)
    continued = make_learner(tmp_path, **CONTINUED).run(None)
    for one, two in zip(continued.model.get_weights(), uninterrupted.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert continued.metrics == uninterrupted.metrics
    assert zeros(continued.model) == {'conv1': 640, 'conv2': 40960, 'fc3': 52429, 'fc4': 2048}


def test_plan_and_report(tmp_path):
    result = make_learner(tmp_path, prune_ratio=0.5, skip_names='fc4').compress(new_model())
    assert result.plan.kind == 'sparsity' and dict(result.plan.values) == dict.fromkeys(NAMES[:3], 0.5)
    pruned = sum(SIZES.values()) - SIZES['fc4']
    assert result.plan.predicted == {'sparsity': 0.5, 'nonzero_parameters': new_model().count_params() - pruned / 2}
    rows = {row['layer']: row for row in result.layers}
    assert rows['conv1']['sparsity'] == [0.0, 0.5] and rows['conv1']['note'] == ''
    assert rows['fc4']['sparsity'] == [0.0, 0.0] and rows['fc4']['note'] == 'skipped because: ws_skip_names=fc4'
    assert rows['conv2']['parameters'] == [51264, 51264]


def test_the_table_says_what_is_left_alone_with_totals_over_the_whole_network():
    inputs = keras.Input((6, 3))
    hidden = keras.layers.BatchNormalization()(keras.layers.GRU(8, name='gru')(inputs))
    model = keras.Model(inputs, keras.layers.Dense(10, name='logits')(hidden))
    rows = sparsity_rows(model, model, {'logits': 60}, skip_reasons(model, None))
    assert sum(row['parameters'][0] for row in rows) == model.count_params()
    gru, logits = rows[:2]
    assert (gru['sparsity'], gru['kernel_weights']) == ([0, 0], 3 * 24 + 8 * 24)
    assert gru['note'] == 'skipped because: GRU is not a prunable type'
    assert (logits['sparsity'], logits['kernel_weights']) == ([0, 0.75], 80)
    assert format_rows(rows).splitlines()[-1].split()[-2:] == ['17.4', '%']  # 60 of 344


def test_heurist_prunes_large_layers_more(tmp_path):
    values = make_learner(tmp_path, prune_ratio=0.9, protocol='heurist').compress(new_model()).plan.values
    assert values['conv1'] < values['fc4'] < values['conv2'] < values['fc3'] < 1
    assert sum(values[name] * size for name, size in SIZES.items()) == pytest.approx(0.9 * sum(SIZES.values()))


def test_both_kernels_of_a_separable_convolution_are_pruned(tmp_path):
    inputs = keras.Input((8, 8, 4))
    features = keras.layers.SeparableConv2D(8, 3, name='separable')(inputs)
    model = keras.Model(inputs, keras.layers.Flatten()(features))
    one = make_learner(tmp_path, prune_ratio=0.75)
    result = one.compress(model)
    finished = one.finish(result.model, result.plan).model
    assert [num_zeros_now(kernel) for kernel in kernels_of(finished.get_layer('separable'))] == [27, 24]
    (row,) = result.layers
    assert row['sparsity'] == [0.0, 51 / 68]


def test_a_given_plan_is_followed(trained, tmp_path):
    path = plan_file(tmp_path, {'conv2': 0.5, 'fc3': 0.95})
    result = run(make_learner(tmp_path / 'run', epochs=0, plan_path=path), trained)
    assert zeros(result.model) == {'conv1': 0, 'conv2': 25600, 'fc3': 62259, 'fc4': 0}
    notes = {row['layer']: row['note'] for row in result.layers}
    assert notes == {
        'conv1': 'skipped because: it is not in ws_prune_plan',
        'conv2': '',
        'fc3': '',
        'fc4': 'skipped because: it is not in ws_prune_plan',
    }
    (tmp_path / 'run' / 'stage').rename(tmp_path / 'run' / '2-weight-sparse')
    assert dict(load_sparsity_plan(str(tmp_path / 'run')).values) == {'conv2': 0.5, 'fc3': 0.95}


def test_after_channel_pruning(trained, tmp_path):
    smaller = remove_channels(trained, {'conv2': range(0, 32, 2), 'fc3': range(0, 64, 2)})
    result = run(make_learner(tmp_path, epochs=1 / 400, prune_ratio=0.5), smaller)
    assert zeros(result.model) == {'conv1': 200, 'conv2': 6400, 'fc3': 16384, 'fc4': 1280}


def test_a_second_time_goes_on_from_the_zeros_of_the_first(trained, tmp_path):
    first = run(make_learner(tmp_path / '1', epochs=0, prune_ratio=0.5), trained).model
    second = make_learner(tmp_path / '2', epochs=1 / 400, prune_ratio=0.9)
    rows = second.compress(first).layers
    assert [row['sparsity'][0] for row in rows] == [0.5] * 4
    assert rows[0]['sparsity'][1] == 0.9
    result = run(second, first).model
    for name in NAMES:
        old, new = (model.get_layer(name).kernel.numpy() for model in (first, result))
        assert np.count_nonzero(new) == pytest.approx(0.1 * SIZES[name], abs=0.5) and not np.any(new[old == 0])


def test_a_teacher_stays(trained, tmp_path):
    one = make_learner(tmp_path)
    teacher = Distillation(trained, 4.0, 4.0)
    one.context = dataclasses.replace(one.context, distillation=teacher)
    plan = one.compress(trained).plan
    assert one.trainer_parts(new_model(), plan).distillation is teacher


def test_nothing_to_prune(tmp_path):
    with pytest.raises(UsageError, match='^no layer is left to prune: every one is skipped; check --ws_skip_names=c$'):
        make_learner(tmp_path, skip_names='c').compress(new_model())


@pytest.mark.parametrize(
    ('values', 'options', 'message'),
    [
        ({'conv9': 0.5}, {}, "made for another model .*: it has no layer with weights 'conv9'"),
        (
            {'conv1': 0.5},
            {'skip_names': 'conv1'},
            r'names conv1, which is not pruned \(ws_skip_names=conv1\); take it out',
        ),
        ({}, {}, 'names no layer; give at least one'),
    ],
)
def test_plans_that_do_not_fit(tmp_path, values, options, message):
    with pytest.raises(UsageError, match=message):
        make_learner(tmp_path, plan_path=plan_file(tmp_path, values), **options).compress(new_model())


def test_a_plan_for_a_layer_without_kernel(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name='bn')(keras.layers.Dense(3)(inputs)))
    with pytest.raises(UsageError, match=r'names bn, which is not pruned \(it has no kernel\)'):
        make_learner(tmp_path, plan_path=plan_file(tmp_path, {'bn': 0.5})).compress(model)


def test_files_are_checked_before_anything_is_trained(tmp_path):
    make_learner(tmp_path).check_inputs()
    for path, message in (
        (str(tmp_path / 'nowhere.json'), 'cannot read the compression plan'),
        (str(tmp_path), 'no plan of weight-sparse in that run directory'),
        (plan_file(tmp_path, {'conv1': 8}, 'bits'), '--ws_prune_plan=.*: a plan of bits; give one of sparsity'),
    ):
        with pytest.raises(UsageError, match=message):
            make_learner(tmp_path, plan_path=path).check_inputs()


def test_what_cannot_work_is_refused_before_training(tmp_path):
    learner = make_learner(tmp_path, skip_names='fc', plan_path=plan_file(tmp_path, {'conv2': 0.5}))
    learner.check_layers(new_model)
    learner.check_model(new_model)
    for options, message in (
        ({'skip_names': 'cnov2'}, "--ws_skip_names=cnov2: no layer .* has 'cnov2' in its name; those are conv1"),
        ({'skip_names': 'c'}, 'no layer is left to prune'),
        ({'plan_path': plan_file(tmp_path, {'conv9': 0.5})}, "another model .* no layer with weights 'conv9'"),
    ):
        with pytest.raises(UsageError, match=message):
            make_learner(tmp_path, **options).check_layers(new_model)
    with pytest.raises(UsageError, match='--ws_prune_ratio=0.99999: with a weight left in each kernel, at most'):
        make_learner(tmp_path, prune_ratio=0.99999, protocol='heurist').check_model(new_model)
