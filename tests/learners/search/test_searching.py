"""How a learner's options become the settings of its search."""

from __future__ import annotations

import pytest

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.search import searching
from pocketflow.learners.search.searching import MIN_LONGER_STEPS, SearchedOptions
from pocketflow.learners.weight_sparsification.learner import WeightSparseLearner, WeightSparseOptions
from pocketflow.utils.training.schedules import scaled_learning_rate
from tests.learners.search.conftest import tiny_context


def learner(folder, search: SearchOptions | None = None, **options) -> WeightSparseLearner:
    return WeightSparseLearner(tiny_context(folder, search), WeightSparseOptions(protocol='optimal', **options))


def test_options_search_nothing_unless_they_say_so():
    assert not SearchedOptions().searches
    with pytest.raises(NotImplementedError):
        SearchedOptions().layer_search()


def test_no_values_are_found_where_nothing_is_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(searching, 'PlanSearch', None)
    one = WeightSparseLearner(tiny_context(tmp_path), WeightSparseOptions(protocol='uniform'))
    assert one.search_values(None) is None and one.search_record() is None


@pytest.mark.parametrize(('num_steps', 'longer'), [(0, 2 * MIN_LONGER_STEPS), (400, 800)])
def test_the_longer_tuning_is_a_multiple_of_the_trials_but_not_of_too_few_steps(tmp_path, num_steps, longer):
    tuning = learner(tmp_path, SearchOptions(verify_factor=2), num_tune_steps=num_steps)._tuning()
    assert (tuning.num_steps, tuning.num_longer) == (num_steps, longer)


def test_the_rate_is_that_of_fine_tuning(tmp_path):
    one = learner(tmp_path)
    helper, share = one._trial_helper(), one.context.learner_options.rate_factor_finetune
    expected = share * scaled_learning_rate(
        helper.net.learning_rate, helper.dataset.options.batch_size, helper.net.batch_size_norm
    )
    assert one._tuning().peak == pytest.approx(expected)
