from __future__ import annotations

import pytest

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.training.means import WeightedMeans


def test_means_by_hand():
    means = WeightedMeans()
    means.add({'loss': 1.0, 'accuracy': 0.5}, 1)
    means.add({'loss': 4.0, 'accuracy': 0.75}, 3)
    assert means.take() == {'loss': 3.25, 'accuracy': 0.6875}
    with pytest.raises(PocketFlowError, match='nothing was measured'):
        means.take()


def test_another_one_goes_on_to_the_last_bit():
    whole, begun, resumed = WeightedMeans(), WeightedMeans(), WeightedMeans()
    for number in range(1, 11):
        whole.add({'loss': 1 / number}, number)
        (begun if number <= 4 else resumed).add({'loss': 1 / number}, number)
        if number == 4:
            resumed.resume_from(begun.to_text())
    assert resumed.take() == whole.take()


@pytest.mark.parametrize(
    'text',
    [
        '',
        'x',
        '[]',
        'null',
        '{}',
        '{"totals": {"loss": "x"}, "weight": 1}',
        '{"totals": [], "weight": 1}',
        '{"totals": {"loss": 1.0}, "weight": null}',
    ],
)
def test_other_texts_are_nothing_to_go_on_from(text):
    means = WeightedMeans()
    means.resume_from(text)
    means.add({'loss': 2.0}, 1)
    assert means.take() == {'loss': 2.0}


def test_sums_of_other_metrics_are_left_alone():
    begun, means = WeightedMeans(), WeightedMeans()
    begun.add({'loss': 1.0, 'sparsity': 0.5}, 1)
    means.resume_from(begun.to_text())
    means.add({'loss': 2.0}, 1)
    assert means.take() == {'loss': 2.0}
