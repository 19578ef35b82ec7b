"""Measured points are those of networks in which one group is pruned and re-fitted."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.curves.curves import Curves, Quality
from pocketflow.learners.channel_pruning.curves.measuring import digest, measure_curves
from pocketflow.learners.channel_pruning.pruning import prune_channels
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.tasks.metric import ACCURACY
from tests.learners.channel_pruning.curves.test_costs import residual

MODEL = residual()
PRUNED = ('a1', 'a2', 'b1', 'b2', 'head')
IMAGES = np.random.default_rng(0).normal(size=(60, 4, 4, 3)).astype(np.float32)
OTHERS = np.random.default_rng(1).normal(size=(20, 4, 4, 3)).astype(np.float32)
SHARES = (0.25, 0.5)


def context(names=PRUNED) -> SelectionContext:
    readers = {name: reader for name, reader in reader_channels(MODEL).items() if name in names}
    return SelectionContext(MODEL, readers, Sampling(IMAGES, 16, 1e-5, 0))


def evaluate(model: keras.Model) -> Quality:
    """The distance to the outputs of the whole model, twice."""
    distance = float(np.square(model(OTHERS).numpy() - MODEL(OTHERS).numpy()).mean())
    return Quality(distance, -distance)


def measure(selector: str = 'lasso', **arguments) -> Curves:
    return measure_curves(context(), selector, evaluate, ACCURACY, 20, SHARES, **arguments)


@pytest.fixture(scope='module')
def measured() -> Curves:
    return measure()


def test_groups_and_points(measured):
    assert {name: [*group.ranks] for name, group in measured.groups.items()} == {
        'a2': ['a2'],
        'b2': ['b2'],
        'a1': ['a1', 'b1', 'head'],
    }
    assert [[*curve.points] for curve in measured] == [[1, 3], [1, 3], [2, 4]]
    assert measured.whole == Quality(0, 0) and measured.weights == digest(MODEL) and measured.num_images == 20
    assert all(0 < curve.points[max(curve.points)].loss <= curve.points[min(curve.points)].loss for curve in measured)


def test_a_point_is_the_network_with_one_pruned_layer(measured):
    curve = next(curve for curve in measured if curve.group.name == 'a2')
    pruned = prune_channels(MODEL, IMAGES, channels=curve.group.kept(3), layers=['a2'], num_positions=16, seed=0)
    assert evaluate(pruned.model).loss == pytest.approx(curve.points[3].loss, rel=1e-3)
    dropped = prune_channels(MODEL, IMAGES, 0.5, 'random', layers=['a2'], num_positions=16, seed=0)
    assert pruned.plan.values['a2'] == tuple(curve.group.kept(3)['a2'])
    assert evaluate(dropped.model).loss >= 0.5 * curve.points[3].loss


def test_the_given_model_stays_as_it_is(measured):
    assert digest(MODEL) == measured.weights


@pytest.mark.parametrize('selector', ['lasso', 'random'])
def test_an_interrupted_measurement_continues_with_equal_results(selector):
    kept: list[Curves] = []
    whole = measure(selector, keep=kept.append)
    assert [len(part.curves) for part in kept] == [1, 2, 3]
    seen: list[str] = []
    again = measure(selector, before=kept[0], report=lambda name, curve: seen.append(name))
    assert seen == ['b2', 'a1']
    assert dataclasses.replace(again, seconds=0) == dataclasses.replace(whole, seconds=0)


def test_nothing_prunable_takes_one_line():
    with pytest.raises(UsageError, match='^no layer of model .* can be pruned such that multiply-adds are saved'):
        # The stream is read by others that keep all, and a selection costs more than it saves.
        measure_curves(context(['head']), 'lasso', evaluate, ACCURACY, 20, (0.99,))


def test_a_loss_that_is_not_finite_takes_one_line():
    with pytest.raises(PocketFlowError, match="^model 'model.*: the loss on held-out samples is nan"):
        measure_curves(context(), 'l1', lambda _: Quality(math.nan, 0.5), ACCURACY, 20)
