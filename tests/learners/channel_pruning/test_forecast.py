"""Numbers of channels that are predicted without images, against those of the selection."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.decisions import NOT_WORTH
from pocketflow.learners.channel_pruning.forecast import expected_channels, selection_flops
from pocketflow.learners.channel_pruning.memory import Demand
from pocketflow.learners.channel_pruning.prunable import reasons_not_to_prune
from pocketflow.learners.channel_pruning.pruning import LARGER, prune_channels
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.costs.cost_model import total_macs
from tests.learners.channel_pruning.test_decisions import bottleneck_net, conv

layers = keras.layers


def expected(model: keras.Model, share: float, seed: int = 0):
    readers = reader_channels(model)
    skipped = reasons_not_to_prune(model, readers)
    prunable = {name: each for name, each in readers.items() if name not in skipped}
    return expected_channels(model, prunable, dict.fromkeys(prunable, share), seed)


def chain() -> keras.Model:
    inputs = keras.Input((6, 6, 3))
    return keras.Model(inputs, conv(4, 'c')(conv(12, 'b')(conv(8, 'a')(inputs))))


def test_layers_in_a_row_keep_their_share():
    kept, notes = expected(chain(), 0.5)
    assert {name: len(own) for name, own in kept.items()} == {'b': 4, 'c': 6} and not notes
    assert all(own == sorted(set(own)) for own in kept.values())


@pytest.mark.parametrize('make', [chain, bottleneck_net])
@pytest.mark.parametrize('share', [0.25, 0.5, 0.75])
def test_cost_is_that_of_the_selection(make, share):
    model = make()
    images = np.random.default_rng(0).normal(size=(30, *model.input_shape[1:])).astype(np.float32)
    kept, _ = expected(model, share)
    pruned = prune_channels(model, images, 1 - share, 'l1').model
    assert total_macs(model, kept) == pytest.approx(total_macs(pruned), rel=0.1)


def test_groups_keep_equally_many():
    inputs = keras.Input((4, 4, 3))
    grouped = layers.Conv2D(8, 3, groups=2, padding='same', name='grouped')
    kept, _ = expected(keras.Model(inputs, conv(4, 'c')(grouped(conv(8, 'a')(inputs)))), 0.5)
    assert [sum(channel < 4 for channel in kept['grouped']), len(kept['grouped'])] == [2, 4]


def test_all_channels_are_kept_where_nothing_is_saved():
    inputs = keras.Input((4, 4, 3))
    x = conv(4, 'a')(inputs)  # its output is an output of the network: selecting from it costs as much as it saves
    kept, notes = expected(keras.Model(inputs, [x, conv(4, 'b')(x)]), 0.5)
    assert kept['b'] == [0, 1, 2, 3] and notes['b'] in (NOT_WORTH, LARGER)


def test_the_seed_draws_the_sets():
    sets = [expected(bottleneck_net(), 0.5, seed)[0] for seed in (0, 0, 1)]
    assert sets[0] == sets[1] != sets[2]


def test_operations_of_one_layer():
    demand = Demand(
        image_bytes=0, map_bytes=0, weight_bytes=0, shapes={'a': (10, 4)}, channels={'a': 10}, rows_per_image={'a': 5}
    )
    # 100 rows: 2 * 100 * 10 * (10 + 4) for the products, 10^3 for the solution.
    assert selection_flops(demand, num_images=20) == 28_000 + 1000
