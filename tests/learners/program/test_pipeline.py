"""Where the model to compress comes from, chains of learners, and teachers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.program.pipeline import Pipeline, load_fitting_model
from pocketflow.learners.weight_sparsification.learner import WeightSparseOptions
from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import save_model
from pocketflow.utils.training.options import DistillationOptions
from tests.conftest import ONE_FILE, PACKED, PRUNING, QUICK, TASK, finished_run, metric_lines, run_main
from tests.learners.conftest import make_context, make_helper

PRUNED_STAGE = '1-chn-pruned-rmt'


def pruned(zoo: Path, *arguments: str):
    return finished_run(zoo, *PRUNING, PACKED, *arguments)


def zoo_of(run) -> Path:
    return run.path.parents[1]


def kernels(path: Path) -> np.ndarray:
    return keras.models.load_model(path, compile=False).get_layer('conv2').kernel.numpy()


def last_losses(run: Path) -> dict[str, dict]:
    return {line['stage']: line for line in metric_lines(run)}


@pytest.mark.filterwarnings('ignore:You are saving a model that has not yet been built')
def test_only_fitting_models_are_taken(tmp_path):
    helper = make_helper()
    path = tmp_path / 'model.keras'
    save_model(helper.build_model(), path)
    assert load_fitting_model(path, helper).output_shape == (None, 10)
    save_model(make_helper('lenet_at_cifar10').build_model(), path)
    with pytest.raises(UsageError, match=r'maps \(None, 32, 32, 3\) to \(None, 10\), but digits needs \(None, 8, 8'):
        load_fitting_model(path, helper)
    save_model(keras.Sequential([keras.layers.Flatten()]), path)
    with pytest.raises(UsageError, match=r'maps \(None, 8, 8, 1\) to \(None, 64\), but'):
        load_fitting_model(path, helper)


def test_zoo_is_found_and_used(trained_run):
    run = pruned(zoo_of(trained_run))
    assert not (run.path / '0-full-prec').exists()
    assert f'trained model {trained_run.path}/model.keras: loss' in run.outcome.err
    assert run.report['baseline']['metrics'] == trained_run.report['compressed']['metrics']
    assert run.report['seconds'].keys() == {'train', 'select', 'finetune', 'export'}
    assert run.report['seconds']['train'] == 0


def test_other_training_flags_want_another_baseline(trained_run, tmp_path):
    zoo = Path(shutil.copytree(zoo_of(trained_run), tmp_path / 'zoo'))
    run = pruned(zoo, '--seed=1', '--nb_epochs_rat=0.001')
    assert (run.path / '0-full-prec' / 'model.keras').exists()
    assert 'training one first' in run.outcome.err
    again = pruned(zoo, '--seed=1', '--nb_epochs_rat=0.001', '--cpr_prune_ratio=0.25')
    assert not (again.path / '0-full-prec').exists()
    assert f'trained model {run.path}/0-full-prec/model.keras' in again.outcome.err


@pytest.mark.parametrize('name', ['model.keras', '.'])
def test_save_path_is_a_file_or_a_run_directory(trained_run, tmp_path, name):
    context = make_context('lenet_at_digits', tmp_path, save_path=str(trained_run.path / name))
    model, metrics, head, new_head = Pipeline(context, {}, DistillationOptions(), 'none').trained_model()
    assert head is None and new_head is None
    assert metrics == trained_run.report['compressed']['metrics']
    np.testing.assert_array_equal(model.get_layer('conv2').kernel, kernels(trained_run.path / 'model.keras'))
    assert not (tmp_path / '0-full-prec').exists()


def test_a_run_goes_on_from_the_model_that_it_began_with(tmp_path):
    save_model(make_helper().build_model(), tmp_path / 'given.keras')

    def trained_model() -> keras.Model:
        context = make_context('lenet_at_digits', tmp_path / 'run', save_path=f'{tmp_path}/given.keras')
        return Pipeline(context, {}, DistillationOptions(), 'none').trained_model()[0]

    first = trained_model()
    (tmp_path / 'given.keras').unlink()
    for one, two in zip(first.get_weights(), trained_model().get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_learner_leaves_the_model_before_it_alone(trained_run, tmp_path):
    run = finished_run(tmp_path, ONE_FILE, '--enbl_warm_start', f'--save_path={trained_run.path}')
    assert run.report['baseline']['metrics'] == trained_run.report['compressed']['metrics']
    assert run.report['compressed']['metrics']['loss'] < run.report['baseline']['metrics']['loss']
    assert run.report['verdict']['size_ratio'] == pytest.approx(1, abs=1e-3)  # the descriptions in the files differ
    assert not run.report['verdict']['smaller']
    np.testing.assert_array_equal(
        kernels(run.path / 'baseline' / 'model.keras'), kernels(trained_run.path / 'model.keras')
    )


def test_chain_prunes_the_pruned_model(trained_run):
    run = finished_run(zoo_of(trained_run), '--learner=chn-pruned-rmt,chn-pruned-rmt', *PRUNING[1:], PACKED)
    shapes = [kernels(run.path / stage / 'model.keras').shape for stage in (PRUNED_STAGE, '2-chn-pruned-rmt')]
    assert shapes == [(5, 5, 16, 32), (5, 5, 8, 16)]
    report = run.report
    assert [stage['learner'] for stage in report['stages']] == ['chn-pruned-rmt'] * 2
    assert {row['layer']: row['inputs'] for row in report['layers']}['conv2'] == [32, 8]
    assert sum(row['macs'][0] for row in report['layers']) == report['baseline']['macs']
    assert sum(row['macs'][1] for row in report['layers']) == report['compressed']['macs']
    assert run.path.name.startswith('chn-pruned-rmt+chn-pruned-rmt-')
    assert last_losses(run.path).keys() == {f'{stage}-chn-pruned-rmt/train' for stage in (1, 2)}


def test_chain_from_full_precision_trains_once(tmp_path):
    run = finished_run(tmp_path, '--learner=full-prec,chn-pruned-rmt', *PRUNING[1:], PACKED)
    assert {path.name for path in run.path.glob('*-*')} == {'1-full-prec', '2-chn-pruned-rmt'}
    assert run.report['verdict']['smaller']
    assert run.report['stages'][0]['metrics'] == run.report['baseline']['metrics']


def test_distillation_changes_the_training(trained_run, tmp_path):
    zoo = zoo_of(trained_run)
    plain, helped = pruned(zoo, '--noenbl_dst', '--cpr_nb_smpls=99'), pruned(zoo, '--cpr_nb_smpls=99')
    line = last_losses(helped.path)[f'{PRUNED_STAGE}/train']
    assert 0 < line['distillation_loss'] < line['loss']
    assert 'distillation_loss' not in last_losses(plain.path)[f'{PRUNED_STAGE}/train']
    start, without, with_teacher = (
        kernels(run.path / PRUNED_STAGE / f'{name}.keras')
        for run, name in ((helped, 'compressed'), (plain, 'model'), (helped, 'model'))
    )
    np.testing.assert_array_equal(start, kernels(plain.path / PRUNED_STAGE / 'compressed.keras'))
    assert np.abs(with_teacher - start).max() > 1e-3  # it was trained at all
    assert np.abs(with_teacher - without).max() > 1e-3

    other = tmp_path / 'teacher.keras'
    save_model(make_helper().build_model(), other)
    taught = pruned(zoo, '--enbl_dst', f'--save_path_dst={other}', '--cpr_nb_smpls=99')
    assert last_losses(taught.path)[f'{PRUNED_STAGE}/train']['distillation_loss'] != line['distillation_loss']


def test_full_precision_student_gets_a_trained_teacher(trained_run, tmp_path):
    found = finished_run(zoo_of(trained_run), PACKED, '--enbl_dst')
    assert not (found.path / '0-full-prec').exists()
    assert last_losses(found.path).keys() == {'1-full-prec/train'}
    trained = finished_run(tmp_path, PACKED, '--enbl_dst')
    assert last_losses(trained.path).keys() == {'0-full-prec/train', '1-full-prec/train'}
    for run in (found, trained):
        assert last_losses(run.path)['1-full-prec/train']['distillation_loss'] > 0
        np.testing.assert_allclose(
            kernels(run.path / 'baseline' / 'model.keras'), kernels(trained_run.path / 'model.keras'), atol=1e-4
        )
        assert run.report['verdict'] is None


def test_given_teacher_spares_training_one(trained_run, tmp_path):
    run = finished_run(tmp_path, PACKED, '--enbl_dst', f'--save_path_dst={trained_run.path}')
    assert last_losses(run.path).keys() == {'1-full-prec/train'}
    assert run.report['verdict'] is None


@pytest.mark.parametrize('flag', ['--save_path', '--save_path_dst'])
def test_models_that_do_not_fit_are_refused_before_anything_is_written(flag, tmp_path):
    other = tmp_path / 'other.keras'
    save_model(make_helper('lenet_at_cifar10').build_model(), other)
    arguments = (*TASK, *QUICK, *PRUNING, '--enbl_dst', f'--run_dir={tmp_path}/run')
    for given, message in (
        (other, 'maps (None, 32, 32, 3) to (None, 10), but digits needs (None, 8, 8, 1)'),
        (tmp_path / 'nowhere', f'{flag}={tmp_path}/nowhere: no saved model there'),
        (Path(__file__), 'cannot be read as a Keras model'),
    ):
        outcome = run_main(*arguments, f'{flag}={given}')
        assert outcome.code == 2 and message in outcome.err
        assert 'Traceback' not in outcome.err and not (tmp_path / 'run').exists()


SKIP_NOTHING = ('--cpr_skip_op_names=cnov2', "--cpr_skip_op_names=cnov2: no layer that can be pruned has 'cnov2'")
REFUSED_AT_ONCE = [
    ('chn-pruned-rmt', *SKIP_NOTHING),
    ('full-prec,chn-pruned-rmt', *SKIP_NOTHING),
    ('weight-sparse,uniform-tf', '--ws_skip_names=cnov2', '--ws_skip_names=cnov2: no layer that can be pruned has'),
    ('chn-pruned-rmt,weight-sparse', '--ws_skip_names=cnov2', '--ws_skip_names=cnov2: no layer that can be pruned has'),
    ('chn-pruned-rmt', '--cpr_skip_op_names=conv,fc', 'no layer is left to prune'),
    ('chn-pruned-rmt', '--cpr_warm_start --cpr_save_path_ws=channels.json', 'the plan was made for another model'),
    ('chn-pruned-rmt', '--cpr_warm_start --cpr_save_path_ws=bits.json', '--cpr_save_path_ws=bits.json: a plan of bits'),
    ('uniform', '--uql_bits_plan=bits.json', "no layer with weights 'conv9'"),
    ('chn-pruned-rmt,uniform', '--uql_bits_plan=bits.json', "no layer with weights 'conv9'"),
    ('uniform-tf', '--uqtf_quant_delay=9999', '--uqtf_quant_delay=9999: must be below the'),
    ('chn-pruned-rmt,uniform-tf', '--uqtf_quant_delay=9999', '--uqtf_quant_delay=9999: must be below the'),
]


@pytest.mark.parametrize(('chain', 'flags', 'message'), REFUSED_AT_ONCE)
def test_what_cannot_work_is_refused_before_anything_is_written(chain, flags, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CompressionPlan('bits', 'lenet', {'conv9': 4}).save('bits.json')
    CompressionPlan('channels', 'lenet', {'conv2': (0,)}, {'conv2': 16}).save('channels.json')
    uniform = ('--ws_prune_ratio_prtl=uniform',) if 'weight-sparse' in chain else ()
    outcome = run_main(*TASK, f'--learner={chain}', *flags.split(), *uniform)
    assert outcome.code == 2 and outcome.err.startswith('error: ') and outcome.err.count('\n') == 1
    assert message in outcome.err and not (tmp_path / 'runs').exists()


def pipeline_of(folder: Path, learner_options: dict) -> Pipeline:
    return Pipeline(make_context('lenet_at_digits', folder), learner_options, DistillationOptions(), 'none')


def test_the_model_that_is_checked_is_built_once_and_changes_nothing(tmp_path, monkeypatch):
    pipeline = pipeline_of(tmp_path, {'weight-sparse': WeightSparseOptions(protocol='uniform')})
    built = []
    build = type(pipeline.context.helper).build_model

    def counted(helper: AbstractModelHelper) -> keras.Model:
        built.append(build(helper))
        return built[-1]

    monkeypatch.setattr(type(pipeline.context.helper), 'build_model', counted)
    keras.utils.set_random_seed(pipeline.context.seed)
    first = build(pipeline.context.helper).get_weights()
    pipeline.check_inputs(['weight-sparse', 'chn-pruned-rmt', 'uniform'])
    assert len(built) == 1
    for one, two in zip(build(pipeline.context.helper).get_weights(), first, strict=True):
        np.testing.assert_array_equal(one, two)
    assert keras.layers.Permute((1,)).name == 'permute'


def test_checks_leave_a_given_model_as_it_is(tmp_path):
    """The run goes on with the model that was checked."""
    path = tmp_path / 'given.keras'
    save_model(make_helper().build_model(), path)
    context = make_context('lenet_at_digits', tmp_path / 'run', save_path=str(path))
    pipeline = Pipeline(context, {}, DistillationOptions(), 'none')
    model = load_fitting_model(path, context.helper, pipeline.reader)
    config, weights = model.get_config(), model.get_weights()
    calls = [len(layer.inbound_nodes) for layer in model.layers]
    pipeline.check_inputs(['weight-sparse', 'chn-pruned-rmt', 'uniform', 'non-uniform', 'uniform-tf'])
    assert pipeline.trained_model()[0] is model
    assert model.get_config() == config and [len(layer.inbound_nodes) for layer in model.layers] == calls
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_shapes_are_checked_only_where_they_are_known(tmp_path):
    options = WeightSparseOptions(protocol='heurist', prune_ratio=0.99999)  # of fewer weights even less can go
    pipeline = pipeline_of(tmp_path, {'weight-sparse': options})
    for chain in (['weight-sparse'], ['full-prec', 'weight-sparse'], ['weight-sparse', 'uniform-tf']):
        with pytest.raises(UsageError, match='--ws_prune_ratio=0.99999: with a weight left in each kernel'):
            pipeline.check_inputs(chain)
    pipeline.check_inputs(['chn-pruned-rmt', 'weight-sparse'])


HELPER = """
import tf_keras as keras
from pocketflow.nets import PAIRS, lenet_at_digits
from pocketflow.nets.lenet import lenet

@PAIRS.register('seven_at_digits')
class SevenAtDigits(lenet_at_digits.LenetAtDigits):
    model_name = 'seven'

    def build_model(self):
        return lenet(self.dataset.image_shape, 7, padding='same')
"""


@pytest.mark.parametrize('learner', ['full-prec', 'uniform-tf', 'chn-pruned-rmt'])
def test_a_helper_whose_model_does_not_fit_is_refused_before_anything_is_written(learner, tmp_path, monkeypatch):
    monkeypatch.setattr(PAIRS, '_entries', dict(PAIRS._entries))
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'seven.py').write_text(HELPER)
    outcome = run_main('--model_helper=seven.py', f'--learner={learner}')
    assert outcome.code == 2 and outcome.err.count('\n') == 1 and not (tmp_path / 'runs').exists()
    assert 'SevenAtDigits.build_model(): maps (None, 8, 8, 1) to (None, 7), but digits needs' in outcome.err


UNUSABLE = """
import numpy as np
import tensorflow as tf
from pocketflow.datasets.digits_dataset import DigitsDataset
from pocketflow.nets import PAIRS, lenet_at_digits

class FaultyDigits(DigitsDataset):
    def load(self, split):
        images, labels = super().load(split)
        {fault}
        return type(super().load(split))(images, labels)

@PAIRS.register('faulty_at_digits')
class FaultyAtDigits(lenet_at_digits.LenetAtDigits):
    dataset_class = FaultyDigits

    def calc_loss(self, labels, outputs, trainable_vars):
        loss, metrics = super().calc_loss(labels, outputs, trainable_vars)
        return loss, {metrics}
"""


@pytest.mark.parametrize(
    ('fault', 'metrics', 'message'),
    [
        ('labels = labels / 10', 'metrics', 'digits, split train: label 0.1 found, expected 0 to 9 without fractions'),
        ('labels = np.eye(10)[labels]', 'metrics', 'return labels.argmax(axis=1) from load()'),
        (
            'images = images.astype(float); images[5, 0] = np.nan if split == "eval" else 0',
            'metrics',
            'digits, split eval: the image of sample 5 has values that are infinite or not a number',
        ),
        ('pass', '{"error": labels}', 'FaultyAtDigits.calc_loss: error must be single floating-point numbers'),
    ],
)
def test_samples_that_cannot_be_trained_with_are_refused_before_anything_is_written(
    fault, metrics, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(PAIRS, '_entries', dict(PAIRS._entries))
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'faulty.py').write_text(UNUSABLE.replace('{fault}', fault).replace('{metrics}', metrics))
    outcome = run_main('--model_helper=faulty.py', '--learner=full-prec')
    assert outcome.code == 2 and outcome.err.count('\n') == 1 and not (tmp_path / 'runs').exists()
    assert message in outcome.err
