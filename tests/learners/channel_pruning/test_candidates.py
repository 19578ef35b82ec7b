"""Candidates of the search for channels: what they cost is what the pruned network costs, and computes."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.hp_optimizer.domain import Values
from pocketflow.learners.channel_pruning.batch_norms import reestimate_batch_norms
from pocketflow.learners.channel_pruning.candidates import ChannelCandidates, Sampling, least_share
from pocketflow.learners.search.trial_network import TrialNetwork, Tuning
from pocketflow.utils.channels import reader_channels, remove_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.training.trainer import DistributedContext, TrainerOptions, TrainerParts
from tests.learners.search.conftest import drawn, tiny_helper, tiny_net

PRUNED = ('b', 'hidden', 'logits')


def images() -> np.ndarray:
    return tiny_helper().training_images(20)


@functools.cache
def given() -> keras.Model:
    return tiny_net()


def make(selector: str = 'lasso', share: float = 0.5, model: keras.Model | None = None) -> ChannelCandidates:
    model = model or given()
    readers = {name: reader for name, reader in reader_channels(model).items() if reader.num_channels > 1}
    return ChannelCandidates(model, readers, selector, share, Sampling(images(), 5, 1e-5, 0), TrainerParts())


@functools.cache
def made() -> tuple[ChannelCandidates, list[np.ndarray]]:
    """Candidates with the first weights of their network."""
    candidates = make()
    return candidates, candidates.model.get_weights()


def pruned(candidates: ChannelCandidates, values: Values) -> keras.Model:
    """The network as it is, without the channels that the candidate gives up."""
    return remove_channels(candidates.model, candidates.chosen(values))


def difference(one: keras.Model, two: keras.Model) -> float:
    return float(np.abs(one(images()).numpy() - two(images()).numpy()).max())


def test_shares_by_hand():
    assert least_share(0.5) == pytest.approx(1.5 * 0.176091, rel=1e-5)
    assert least_share(1.0) == pytest.approx(1.5 * 0.301030, rel=1e-5)


@pytest.mark.parametrize('method', ['random', 'tpe'])
def test_costs_are_those_of_the_pruned_network_and_within_the_budget(method):
    candidates, first = made()
    budget = 0.5 * total_macs(given())
    for values in drawn(candidates.domain, method):
        candidates.model.set_weights(first)
        macs = total_macs(pruned(candidates, values))
        assert macs == candidates.domain.cost(values) <= budget
        assert macs > 0.7 * budget  # whole channels of a tiny network


def test_the_network_computes_what_the_pruned_one_computes():
    candidates, first = made()
    for values in drawn(candidates.domain, 'random', 5):
        candidates.model.set_weights(first)
        candidates.apply(values)
        assert difference(candidates.model, pruned(candidates, values)) <= 1e-4


def test_a_candidate_keeps_the_first_channels_of_one_order():
    candidates, _ = made()
    few, many = (candidates.chosen(dict.fromkeys(PRUNED, share)) for share in (0.4, 0.8))
    for name in PRUNED:
        assert set(few[name]) < set(many[name]) and few[name] == sorted(few[name])
    assert [len(many[name]) for name in PRUNED] == [6, 10, 13]
    everything = candidates.chosen(dict.fromkeys(PRUNED, 1.0))
    assert everything == {'b': list(range(8)), 'hidden': list(range(12)), 'logits': list(range(16))}


def test_masks_stay_while_a_candidate_is_tuned():
    helper = tiny_helper()
    candidates = make(model=given())
    tuning = Tuning(
        helper.calc_loss, 0.1, 5, 10, None, False, TrainerOptions(compute_dtype='float32'), DistributedContext()
    )
    network = TrialNetwork(candidates, helper, tuning)
    one, two = drawn(candidates.domain, 'random', 3)[1:]
    for values in (one, two):
        network.evaluate(values)
        for name, kept in candidates.chosen(values).items():
            kernel = candidates.model.get_layer(name).kernel.numpy()
            num_channels = reader_channels(given())[name].num_channels
            by_channel = np.abs(kernel).reshape(-1, num_channels, kernel.shape[-1]).max(axis=(0, 2))
            assert np.flatnonzero(by_channel).tolist() == kept
        assert difference(candidates.model, pruned(candidates, values)) <= 1e-4
    assert candidates.parts.constraint is not None and len(candidates.parts.state) == len(PRUNED)


def test_masks_are_applied_to_what_training_has_changed():
    candidates, first = made()
    candidates.model.set_weights(first)
    values = candidates.domain.uniform()
    candidates.apply(values)
    kernel = candidates.model.get_layer('hidden').kernel
    kernel.assign_add(tf.ones_like(kernel))
    candidates.parts.constraint(tf.constant(1, tf.int64))
    assert difference(candidates.model, pruned(candidates, values)) <= 1e-4


@pytest.mark.parametrize('selector', ['lasso', 'obs', 'l1', 'random'])
def test_every_selector_orders_all_channels_alike_each_time(selector):
    one, two = (make(selector).chosen(dict.fromkeys(PRUNED, 0.5)) for _ in range(2))
    assert one == two and [len(one[name]) for name in PRUNED] == [4, 6, 8]


def test_the_given_model_stays_as_it_is():
    candidates, first = made()
    assert candidates.model is not given()
    before = given().get_weights()
    candidates.model.set_weights(first)
    candidates.apply(candidates.domain.uniform())
    for one, two in zip(before, given().get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_the_report_says():
    candidates, _ = made()
    assert (candidates.searched, candidates.cost_unit) == ('channels kept', 'MACs')
    assert candidates.budget == '0.5 of the multiply-adds'
    assert candidates.sizes == {'b': 864, 'hidden': 768, 'logits': 160}


def test_budgets_out_of_reach():
    with pytest.raises(
        UsageError,
        match=r'^0.001 of the multiply-adds is out of reach: with the bounds of these 3 '
        r'layers from 0\.\d+ of the multiply-adds to 1 of the multiply-adds is ',
    ):
        make(share=0.001)


@pytest.mark.parametrize('which', ['exact', 'shifted'])
def test_each_candidate_has_the_statistics_of_batch_norms_of_the_flag(which):
    readers, sampling = {'b': reader_channels(given())['b']}, Sampling(images(), 5, 1e-5, 0)
    kept, changed = (
        ChannelCandidates(given(), readers, 'l1', 0.9, sampling, TrainerParts(), batch_norms=name)
        for name in ('kept', which)
    )
    for candidates in (kept, changed):
        candidates.apply({'b': 0.5})
    expected = reestimate_batch_norms(kept.model, images(), given() if which == 'shifted' else None)
    for found, wanted in zip(changed.model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    before = given().get_layer('normalized').moving_mean
    assert not np.allclose(expected.get_layer('normalized').moving_mean, before, atol=1e-3)


def test_other_parts_of_training_stay():
    parts = TrainerParts(variables=given().trainable_variables[:1])
    readers = {'hidden': reader_channels(given())['hidden']}
    candidates = ChannelCandidates(given(), readers, 'l1', 0.9, Sampling(images(), 5, 1e-5, 0), parts)
    assert candidates.parts == dataclasses.replace(
        parts, constraint=candidates.parts.constraint, state=candidates.parts.state
    )
