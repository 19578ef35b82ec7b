"""Ordinary training: from new weights, or from given ones, with the flags of the pair itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketflow.learners.full_precision.learner import FullPrecLearner
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options
from tests.learners.conftest import make_context, make_helper


def learner(folder: Path, **options) -> FullPrecLearner:
    return FullPrecLearner(make_context('lenet_at_digits', folder, **options), Options())


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_a_given_model_is_where_a_warm_start_begins_and_is_left_alone(tmp_path):
    given = make_helper().build_model()
    warm = learner(tmp_path / 'warm', warm_start=True, save_path='m.keras').compress(given).model
    assert same(warm, given) and warm is not given
    assert not same(learner(tmp_path / 'cold').compress(given).model, given)
    assert learner(tmp_path / 'none').compress(None).model.output_shape == (None, 10)


def test_the_training_is_that_of_the_pair(tmp_path):
    one = learner(tmp_path, rate_factor_finetune=0.01)
    schedule, num_steps = one.schedule()
    expected, expected_steps = one.helper.setup_lrn_rate()
    assert num_steps == expected_steps and float(schedule(5)) == float(expected(5))
    assert one.training_helper() is one.helper


def test_a_model_that_does_not_fit_is_refused_when_it_is_made(tmp_path):
    def refuse():
        raise UsageError('does not fit')

    with pytest.raises(UsageError, match='does not fit'):
        learner(tmp_path).check_model(refuse)
