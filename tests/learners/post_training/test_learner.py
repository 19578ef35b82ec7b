"""Runs of the learner: files, the report, resume after a layer, and training that goes on from the result."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from pocketflow.learners import LEARNERS
from pocketflow.learners.abstract_learner import AbstractLearner
from pocketflow.learners.post_training import learner as module
from pocketflow.learners.post_training.learner import KeptCodes, PostTrainingLearner
from pocketflow.learners.post_training.options import PostTrainingOptions
from pocketflow.utils.export.weights import Weights
from pocketflow.utils.models.files import load_model
from pocketflow.utils.quantization.int8 import is_quantization_aware, plain_if_quantization_aware
from pocketflow.utils.system.interrupts import Interrupted, watched
from tests.conftest import QUICK, TASK, FinishedRun, run_main
from tests.learners.conftest import make_context

FLAGS = ('--learner=post-training', '--ptq_nb_smpls=100', '--ptq_weight_bits=4', '--ptq_nb_iters=50')


@pytest.fixture(scope='module')
def four_bits(trained_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp('runs') / 'run'
    outcome = run_main(*TASK, *QUICK, *FLAGS, f'--save_path={trained_run.path}', f'--run_dir={folder}')
    assert outcome.code == 0, outcome.err
    return outcome, folder


def test_both_files_of_a_run(four_bits):
    outcome, folder = four_bits
    mixed, int8 = ((folder / f'model_{name}.tflite').read_bytes() for name in ('mixed', 'int8'))
    assert len(mixed) < 0.7 * len(int8)
    types = [Weights(mixed).type_of(operator) for operator in Weights(mixed).operators()]
    assert set(types) == {'INT4', 'INT8'}
    plan = FinishedRun((), folder, outcome).report['stages'][-1]
    assert plan['bits'] is not None
    assert not (folder / '1-post-training' / 'codes').exists()
    assert is_quantization_aware(load_model(folder / '1-post-training' / 'model.keras'))


def test_training_for_int8_goes_on_from_the_rounded_weights(four_bits, tmp_path):
    _, folder = four_bits
    rounded = load_model(folder / '1-post-training' / 'model.keras')
    learner_class = LEARNERS.get('uniform-tf')
    later = learner_class(make_context('lenet_at_digits', tmp_path), learner_class.options_class(num_images=20))
    begun = plain_if_quantization_aware(later.compress(rounded).model)
    for layer in plain_if_quantization_aware(rounded).layers:
        for one, other in zip(layer.get_weights(), begun.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=0.01 * np.abs(one).max())  # rounded to 8 bits once more
    assert later.explain_layers(rounded)


def test_an_interrupted_stage_continues_after_the_last_layer(tmp_path, monkeypatch):
    options = PostTrainingOptions(weight_bits='4', num_images=50, num_iterations=20)

    def stage() -> AbstractLearner:
        return PostTrainingLearner(make_context('lenet_at_digits', tmp_path), options)

    model = stage().helper.build_model()
    kept: list[str] = []
    keep = KeptCodes.keep

    def stop_after_two(self: KeptCodes, layer: str, codes: np.ndarray) -> None:
        keep(self, layer, codes)
        kept.append(layer)
        if len(kept) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(module.KeptCodes, 'keep', stop_after_two)
    with pytest.raises(Interrupted), watched():
        stage().run(model)
    assert len(kept) == 2
    result = stage().run(model)
    assert len(kept) == len({*kept}) > 2  # no layer was rounded twice
    assert result.metrics_compressed == result.metrics and not (tmp_path / 'stage' / 'codes').exists()


def test_damaged_codes_are_made_again(tmp_path):
    kept = KeptCodes(tmp_path / 'codes')
    kept.keep('block/conv', np.array([[1.0, -7.0]]))
    (tmp_path / 'codes' / 'other.npy').write_bytes(b'nothing')
    found = kept.read()
    assert list(found) == ['block/conv']
    np.testing.assert_array_equal(found['block/conv'], [[1, -7]])
