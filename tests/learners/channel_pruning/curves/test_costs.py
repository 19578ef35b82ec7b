"""Costs of groups are those of the networks, and sums of their terms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.hp_optimizer.integer_program import cost_of
from pocketflow.learners.channel_pruning.curves.costs import KINDS, GroupCosts
from pocketflow.learners.channel_pruning.curves.groups import Group, joint_group, single_group
from pocketflow.utils.channels import trace
from pocketflow.utils.channels.streams import streams
from pocketflow.utils.costs.cost_model import total_macs, total_parameters

layers = keras.layers


def residual() -> keras.Model:
    """A stream of 8 channels with three readers, two inner layers of 6, and logits that read all."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 3, padding='same', name='stem')(inputs)
    for block in 'ab':
        branch = layers.Conv2D(6, 3, padding='same', name=f'{block}1')(x)
        branch = layers.Conv2D(8, 3, padding='same', name=f'{block}2')(layers.BatchNormalization()(branch))
        x = layers.Add()([x, branch])
    x = layers.Conv2D(6, 1, name='head')(x)
    return keras.Model(inputs, layers.Dense(4, name='logits')(layers.GlobalAveragePooling2D()(x)))


def groups(model: keras.Model, joint: bool = True) -> dict[str, Group]:
    readers = ['a1', 'a2', 'b1', 'b2', 'head']
    found = []
    for stream in streams(trace(model), readers):
        if joint or len(stream.places) == 1:
            found.append(joint_group(stream, np.arange(len(stream.identities))))
        else:
            found += [single_group(name, np.roll(np.arange(8), i)) for i, name in enumerate(stream.places)]
    return {group.name: group for group in found}


def all_counts(own: dict[str, Group]) -> dict[str, list[int]]:
    return {name: [2, group.size // 2 + 1, group.size] for name, group in own.items()}


def kept(own: dict[str, Group], counts: dict[str, int]) -> dict[str, list[int]]:
    return {name: channels for key, count in counts.items() for name, channels in own[key].kept(count).items()}


def combinations(levels: dict[str, list[int]]):
    for places in itertools.product(*(range(len(counts)) for counts in levels.values())):
        yield dict(zip(levels, places, strict=True))


@pytest.mark.parametrize('kind', KINDS)
def test_sums_of_terms_are_exact_with_one_group_per_stream(kind):
    model = residual()
    own = groups(model)
    assert [*own] == ['a1', 'a2', 'b2'] and [*own['a1'].ranks] == ['a1', 'b1', 'head']
    costs, levels = GroupCosts(model, own, KINDS[kind][0]), all_counts(own)
    terms = costs.terms(levels)
    assert max(len(term.groups) for term in terms) == 2
    for places in combinations(levels):
        counts = {name: levels[name][place] for name, place in places.items()}
        assert cost_of(places, terms) == pytest.approx(costs.total(counts))


def test_totals_are_those_of_the_pruned_network():
    model = residual()
    own = groups(model)
    counts = {'a1': 3, 'a2': 2, 'b2': 5}
    assert GroupCosts(model, own).total(counts) == total_macs(model, kept(own, counts))
    parameters = GroupCosts(model, own, KINDS['parameters'][0])
    assert parameters.total(counts) == total_parameters(model, kept(own, counts))


def test_totals_are_exact_even_if_readers_of_a_stream_have_separate_sets():
    model = residual()
    own = groups(model, joint=False)
    costs, levels = GroupCosts(model, own), all_counts(own)
    terms = costs.terms(levels)
    for places in itertools.islice(combinations(levels), 0, None, 40):
        counts = {name: levels[name][place] for name, place in places.items()}
        assert costs.total(counts) == total_macs(model, kept(own, counts))
        assert np.isfinite(cost_of(places, terms))


def test_a_table_of_milliseconds_is_a_cost():
    model = residual()
    own = groups(model)

    def table(sizes):
        times = {('a2', 2): 1.0, ('a2', 4): 3.0, ('a2', 6): 4.0}
        return lambda call, num_inputs, num_outputs: times.get((sizes.name(call), num_inputs), 0.5)

    costs = GroupCosts(model, own, table)
    assert costs.total({'a2': 2}) - costs.total({'a2': 4}) == -2.0
    assert cost_of({'a2': 0}, costs.terms({'a2': [2, 4]})) == costs.total({'a2': 2})
