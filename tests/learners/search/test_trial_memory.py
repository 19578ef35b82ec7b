"""What trials of a search over flags leave in memory: nothing."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import tf_keras as keras
from tensorflow.python.framework.func_graph import FuncGraph

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners import LEARNERS
from pocketflow.learners.search.flag_search import FlagSearch
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from tests.learners.search.conftest import tiny_context, tiny_net

SPACES = {
    'uniform': 'uql_weight_bits: {type: int, low: 3, high: 8}',
    'weight-sparse': 'ws_prune_ratio: {type: float, low: 0.3, high: 0.8}',
}
FIXED = {'weight-sparse': {'protocol': 'uniform'}}


def num_graphs() -> int:
    gc.collect()
    return sum(isinstance(value, FuncGraph) for value in gc.get_objects())


@pytest.mark.parametrize('learner', SPACES)
def test_networks_and_graphs_of_a_trial_are_freed(learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / 'space.yaml').write_text(f'parameters:\n  {SPACES[learner]}\n')
    options = SearchOptions(space=str(tmp_path / 'space.yaml'), num_epochs=0.1)
    search = FlagSearch(
        tiny_context(tmp_path / 'run', options),
        [learner],
        {learner: LEARNERS.get(learner).options_class(**FIXED.get(learner, {}))},
    )
    tried: list[weakref.ref[keras.Model]] = []
    evaluate = AbstractModelHelper.evaluate
    monkeypatch.setattr(
        AbstractModelHelper,
        'evaluate',
        lambda helper, model, *rest: tried.append(weakref.ref(model)) or evaluate(helper, model, *rest),
    )
    judge, left = search.evaluator(tiny_net()), []
    for share in (0.2, 0.8):
        assert judge(search.flags.domain.decode([share]), False, 0.0).reward >= 0
        left.append(num_graphs())
    assert left[0] == left[1]
    assert [model() for model in tried] == [None, None]
