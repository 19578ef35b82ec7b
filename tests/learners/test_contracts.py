"""What every registered learner and every registered pair promises; joining is one row in a table below."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners import LEARNERS
from pocketflow.learners.abstract_learner import AbstractLearner, LearnerContext, StageResult
from pocketflow.learners.forecast import layers_with_kernels
from pocketflow.learners.full_precision.learner import FullPrecLearner
from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.models.files import load_model
from pocketflow.utils.options import Options
from pocketflow.utils.reports.layer_table import SPANS
from pocketflow.utils.system.interrupts import Interrupted
from pocketflow.utils.system.progress import Progress
from pocketflow.utils.training.trainer import TrainerOptions
from tests.datasets.conftest import write_cifar10, write_ilsvrc12
from tests.learners.conftest import make_context

NUM_STEPS = 3


@dataclasses.dataclass(frozen=True)
class LearnerSettings:
    """A learner's row: small options, whether its model must be smaller than the one it was given, whether it trains,
    and how far (as a share of the outputs' range) its file may be from its model.
    """

    options: dict = dataclasses.field(default_factory=dict)
    shrinks: bool = True
    trains: bool = True
    file_format: str = 'float32'
    tolerance: float = 1e-5


LEARNER_SETTINGS = {
    'full-prec': LearnerSettings(shrinks=False),
    'channel': LearnerSettings(
        {'prune_option': 'uniform', 'uniform_share': 0.25, 'num_batches': 6, 'skip_last': False}
    ),
    'chn-pruned-rmt': LearnerSettings({'num_images': 60, 'num_positions': 4}),
    'dis-chn-pruned': LearnerSettings({'num_images': 60, 'num_positions': 4, 'num_heads': 1, 'num_tuning_steps': 1}),
    'chn-pruned-gpu': LearnerSettings({'num_images': 60, 'num_positions': 4, 'skip_ends': False}),
    'uniform': LearnerSettings({'quant_epochs': (NUM_STEPS + 0.5) / 6}, shrinks=False),
    'non-uniform': LearnerSettings({'quant_epochs': (NUM_STEPS + 0.5) / 6, 'opt_mode': 'both'}, shrinks=False),
    'uniform-tf': LearnerSettings({'num_images': 60}, shrinks=False, file_format='int8', tolerance=0.02),
    'post-training': LearnerSettings(
        {'num_images': 60}, shrinks=False, trains=False, file_format='int8', tolerance=0.02
    ),
    'weight-sparse': LearnerSettings({'protocol': 'uniform'}, shrinks=False),
}


@dataclasses.dataclass(frozen=True)
class PairSettings:
    """A pair's row: small options of the net, and what writes a small data set into a folder.

    A deep network is neither built nor trained here: tracing its training takes ten seconds and more.
    """

    net: dict = dataclasses.field(default_factory=dict)
    data: dict = dataclasses.field(default_factory=dict)
    write: Callable[[Path], Path] | None = None
    is_deep: bool = False


SMALL = {'num_train': 60, 'num_val': 10, 'num_eval': 15, 'batch_size': 10, 'batch_size_eval': 10}
SMALL_IMAGES = {**SMALL, 'image_size': '32,32'}
PAIR_SETTINGS = {
    'efficientnet_lite0_at_ilsvrc12': PairSettings({}, SMALL_IMAGES, write_ilsvrc12, is_deep=True),
    'lenet_at_cifar10': PairSettings(data=SMALL, write=write_cifar10),
    'lenet_at_digits': PairSettings(data=SMALL),
    'mobilenet_at_ilsvrc12': PairSettings({'depth_multiplier': 0.25}, SMALL_IMAGES, write_ilsvrc12, is_deep=True),
    'resnet_at_cifar10': PairSettings({'size': 8}, SMALL, write_cifar10),
    'resnet_at_ilsvrc12': PairSettings({'size': 18}, SMALL_IMAGES, write_ilsvrc12, is_deep=True),
}


def test_every_learner_has_a_row():
    assert set(LEARNERS) == set(LEARNER_SETTINGS)


NEW_NETWORKS = [name for name in PAIRS if not PAIRS.declaration(name).needs_model]
"""The pairs whose networks are trained from the start; that of a given network is in tests/test_main_folder.py."""


def test_every_pair_has_a_row():
    assert set(NEW_NETWORKS) == set(PAIR_SETTINGS)


def small_helper(pair: str, folder: Path) -> AbstractModelHelper:
    """The pair on a small data set, with as many epochs as make `NUM_STEPS` steps."""
    settings, helper_class = PAIR_SETTINGS[pair], PAIRS.get(pair)
    where = {'data_dir_local': str(settings.write(folder / 'data'))} if settings.write else {}
    data = helper_class.dataset_class(helper_class.dataset_class.options_class(**settings.data, **where))
    ratio = (NUM_STEPS + 0.5) * SMALL['batch_size'] / SMALL['num_train'] / helper_class.num_epochs
    return helper_class(helper_class.net_options_class(epochs_ratio=ratio, **settings.net), data)


def small_context(pair: str, folder: Path) -> LearnerContext:
    helper = small_helper(pair, folder.parent)
    context = make_context(pair, folder, epochs_ratio_finetune=helper.net.epochs_ratio)
    options = TrainerOptions(compute_dtype='float32', summary_step=1, save_step=100)
    return dataclasses.replace(context, helper=helper, trainer_options=options)


def learner(name: str, folder: Path) -> AbstractLearner:
    learner_class = LEARNERS.get(name)
    return learner_class(
        small_context('lenet_at_digits', folder), learner_class.options_class(**LEARNER_SETTINGS[name].options)
    )


def given_model(folder: Path) -> keras.Model:
    keras.utils.set_random_seed(0)
    return small_helper('lenet_at_digits', folder).build_model()


def run(one: AbstractLearner, model: keras.Model) -> StageResult:
    keras.utils.set_random_seed(0)
    return one.run(model)


@pytest.fixture(scope='module')
def whole(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[AbstractLearner, keras.Model, StageResult]]:
    """By name: a learner, the model that it was given, and what it has made of that without a stop."""

    @functools.cache
    def made(name: str) -> tuple[AbstractLearner, keras.Model, StageResult]:
        folder = tmp_path_factory.mktemp('whole')
        model, one = given_model(folder), learner(name, folder / 'whole')
        return one, model, run(one, model)

    return made


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends SIGTERM when the training reports that step."""

    def report(self, values, note=''):
        if 'loss' in values and self.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Progress, 'report', report)


def assert_equal_weights(one: keras.Model, other: keras.Model) -> None:
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize('name', list(LEARNERS))
def test_learner_registers_under_its_own_name(name):
    learner_class = LEARNERS.get(name)
    assert learner_class.name == name and issubclass(learner_class.options_class, Options)
    assert LEARNERS.declaration(name).options_class is learner_class.options_class
    assert learner_class.__doc__


@pytest.mark.parametrize('name', [name for name in LEARNERS if LEARNER_SETTINGS[name].trains])
def test_learner_trains_two_steps_and_then_one_more(name, whole, tmp_path, monkeypatch):
    """Stopped after two of three steps and continued, it ends where an unbroken run ends."""
    model = given_model(tmp_path)
    before = [weight.copy() for weight in model.get_weights()]
    stop_at(2, monkeypatch)
    with pytest.raises(Interrupted):
        run(learner(name, tmp_path / 'stopped'), model)
    monkeypatch.undo()
    assert {path.name for path in (tmp_path / 'stopped').rglob('*.index')} == {'ckpt-2.index'}
    keras.utils.set_random_seed(99)  # nothing may depend on random numbers drawn before the stop
    continued = learner(name, tmp_path / 'stopped').run(model)
    one, _, unbroken = whole(name)
    assert_equal_weights(continued.model, unbroken.model)
    assert continued.metrics == unbroken.metrics
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)  # the given model was left as it was
    compressed = keras.models.load_model(one.context.folder / 'compressed.keras', compile=False)
    assert any(
        np.abs(one - two).max() > 0
        for one, two in zip(compressed.get_weights(), unbroken.model.get_weights(), strict=True)
    )


@pytest.mark.parametrize('name', list(LEARNERS))
def test_learner_exports_what_it_computes(name, whole):
    one, model, result = whole(name)
    images = one.helper.training_images(20)
    settings = LEARNER_SETTINGS[name]
    file = convert(result.model, settings.file_format)
    logits = result.model(images, training=False).numpy()
    np.testing.assert_allclose(
        LiteRtRunner(file).predict(images), logits, rtol=0, atol=settings.tolerance * np.ptp(logits)
    )
    assert one.helper.evaluate(result.model) == result.metrics
    if settings.shrinks:
        assert len(file) < 0.8 * len(convert(model, 'float32')) and total_macs(result.model) < 0.8 * total_macs(model)


@pytest.mark.parametrize('name', list(LEARNERS))
def test_every_kernel_is_compressed_or_has_a_reason(name, whole):
    """`explain_layers` says of each layer what happened to it in a run."""
    one, model, _ = whole(name)
    explained = one.explain_layers(model)
    assert list(explained) == layers_with_kernels(model)
    rows = {row['layer']: row for row in read_rows(one)}
    for layer, reason in explained.items():
        row = rows.get(layer, {'note': ''})
        if reason:
            assert name == 'full-prec' or reason in row['note']
        else:
            assert not row['note'] and any(row[key][0] != row[key][1] for key in SPANS if key in row), layer


def read_rows(one: AbstractLearner) -> list[dict]:
    """The layer table of a finished stage."""
    return json.loads((one.context.folder / 'result.json').read_text())['layers']


@pytest.mark.parametrize('name', list(LEARNERS))
def test_prediction_has_the_shape_of_the_result(name, whole):
    one, model, result = whole(name)
    predicted = one.predict(model)
    assert [layer.name for layer in predicted.model.layers] == [
        layer.name for layer in load_model(one.context.folder / 'compressed.keras').layers
    ]
    finished = one.finish(predicted.model, predicted.plan)
    assert total_macs(finished.model) == total_macs(result.model)
    assert finished.model.count_params() == result.model.count_params()
    assert finished.encodings.keys() == result.encodings.keys()
    for row, real in zip(predicted.layers, read_rows(one), strict=True):
        assert row == real
    assert one.prediction_method()


@pytest.mark.parametrize('pair', [name for name in NEW_NETWORKS if PAIR_SETTINGS[name].is_deep])
def test_deep_pair_has_a_schedule_for_its_data(pair, tmp_path):
    schedule, num_steps = small_helper(pair, tmp_path).setup_lrn_rate()
    assert num_steps == NUM_STEPS and float(schedule(0)) >= 0


@pytest.mark.parametrize('pair', [name for name in NEW_NETWORKS if not PAIR_SETTINGS[name].is_deep])
def test_pair_trains_resumes_evaluates_and_exports(pair, tmp_path, monkeypatch):
    def full_precision(folder: str) -> FullPrecLearner:
        return FullPrecLearner(small_context(pair, tmp_path / folder), Options())

    stop_at(2, monkeypatch)
    keras.utils.set_random_seed(0)
    with pytest.raises(Interrupted):
        full_precision('stopped').run(None)
    monkeypatch.undo()
    continued = full_precision('stopped').run(None)
    keras.utils.set_random_seed(0)
    one = full_precision('whole')
    whole = one.run(None)
    assert_equal_weights(continued.model, whole.model)
    assert whole.metrics.keys() >= {'loss', one.helper.task.primary.name} and 0 <= whole.metrics['accuracy'] <= 1
    images = one.helper.training_images(4)
    assert images.shape == (4, *one.helper.dataset.image_shape)
    np.testing.assert_allclose(
        LiteRtRunner(convert(whole.model, 'float32')).predict(images),
        whole.model(images, training=False),
        rtol=1e-3,
        atol=1e-3,
    )
