"""One network for all candidates: each starts alike, and rewards come from samples that nothing is trained on."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.abstract_dataset import AbstractDataset, DatasetOptions, Samples, Shard
from pocketflow.hp_optimizer import Kind, Parameter, SearchSpace
from pocketflow.hp_optimizer.domain import Values
from pocketflow.learners.search.candidates import Candidates
from pocketflow.learners.search.trial_network import TRIAL_MOMENTUM, HalfCosine, TrialNetwork, Tuning, unsharded
from pocketflow.learners.weight_sparsification.candidates import SparsityCandidates
from pocketflow.learners.weight_sparsification.masks import num_zeros_now
from pocketflow.learners.weight_sparsification.selection import prunable_layers
from pocketflow.nets.abstract_model_helper import ClassificationHelper, NetOptions
from pocketflow.utils.training.trainer import DistributedContext, Trainer, TrainerOptions, TrainerParts
from tests.learners.search.conftest import KERNELS, NUM_VAL, drawn, tiny_helper, tiny_net

NUM_TRAIN, NUM_HELD_OUT, NUM_EVAL = 60, 20, 40


def tuning_of(helper: ClassificationHelper, **changes) -> Tuning:
    plain = Tuning(
        helper.calc_loss, 0.1, 6, 12, None, False, TrainerOptions(compute_dtype='float32'), DistributedContext()
    )
    return dataclasses.replace(plain, **changes)


def make(model: keras.Model | None = None, **changes) -> tuple[TrialNetwork, SparsityCandidates]:
    helper, model = tiny_helper(), model or tiny_net()
    candidates = SparsityCandidates(model, prunable_layers(model, {}), 0.5, True, None, TrainerParts())
    return TrialNetwork(candidates, helper, tuning_of(helper, **changes)), candidates


def variables(candidates: Candidates) -> list[np.ndarray]:
    return [variable.numpy() for variable in (*candidates.model.variables, *candidates.parts.state)]


def assert_equal(one: list[np.ndarray], two: list[np.ndarray]) -> None:
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ('step', 'expected'),
    [(0, 0.4), (2.5, 0.2 * (1 + math.sqrt(0.5))), (5, 0.2), (7.5, 0.2 * (1 - math.sqrt(0.5))), (10, 0.0)],
)
def test_half_a_cosine(step, expected):
    schedule = HalfCosine(0.4)
    schedule.num_steps.assign(10)
    assert float(schedule(tf.constant(step))) == pytest.approx(expected, abs=1e-7)
    assert schedule.get_config() == {'peak': 0.4}


def test_a_candidate_is_worth_the_same_each_time_whatever_came_before():
    network, candidates = make(screening=True)
    one, two, three = drawn(candidates.domain, 'random', 3)
    first = network.evaluate(one)
    after = variables(candidates)
    assert network.evaluate(two, longer=True) != first
    other = network.evaluate(three)
    assert network.evaluate(one) == first
    assert_equal(variables(candidates), after)
    alone, its_candidates = make(screening=True)
    assert alone.evaluate(three) == other
    assert_equal(variables(its_candidates), _left_by(network, candidates, three))
    assert 0 < first.reward <= 1 and 0 <= first.before <= 1


def _left_by(network: TrialNetwork, candidates: Candidates, values: Values) -> list[np.ndarray]:
    network.evaluate(values)
    return variables(candidates)


def test_random_layers_draw_alike_for_every_candidate():
    plain = tiny_net()
    dropped = keras.layers.Dropout(0.5)(plain.get_layer('hidden').output)
    model = keras.Model(plain.input, keras.layers.Dense(10, name='end')(dropped))
    network, candidates = make(model)
    one, two = drawn(candidates.domain, 'random', 2)
    network.evaluate(one)
    after = variables(candidates)
    network.evaluate(two)
    network.evaluate(one)
    assert_equal(variables(candidates), after)


def test_tuning_keeps_the_zeros_and_follows_longer_when_asked():
    network, candidates = make()
    values = candidates.domain.uniform()
    network.evaluate(values)
    short = variables(candidates)
    assert sum(num_zeros_now(candidates.model.get_layer(name).kernel) for name in KERNELS) == sum(
        round(0.5 * math.prod(shape)) for shape in KERNELS.values()
    )
    network.evaluate(values, longer=True)
    assert any(np.any(one != two) for one, two in zip(short, variables(candidates), strict=True))


def test_statistics_follow_quickly():
    network, candidates = make()
    assert candidates.model.get_layer('normalized').momentum == TRIAL_MOMENTUM
    assert network is not None and tiny_net().get_layer('normalized').momentum > TRIAL_MOMENTUM


def test_everything_is_traced_once():
    helper, traces = tiny_helper(), []

    def counting(*arguments):
        traces.append(1)
        return helper.calc_loss(*arguments)

    network, candidates = make(loss_fn=counting, screening=True)
    points = drawn(candidates.domain, 'random', 4)
    network.evaluate(points[0])
    first = len(traces)
    network.evaluate(points[1], floor=0.0)
    network.evaluate(points[2], longer=True)
    network.evaluate(points[3])
    assert len(traces) == first <= 3


def test_without_steps_nothing_is_trained(monkeypatch):
    monkeypatch.setattr(Trainer, 'fit', lambda *_: pytest.fail('trained'))
    network, candidates = make(num_steps=0, screening=True)
    candidates.apply(candidates.domain.uniform())
    masked = variables(candidates)
    result = network.evaluate(candidates.domain.uniform())
    assert 0 <= result.reward <= 1 and math.isnan(result.before)
    assert_equal(variables(candidates), masked)


def test_a_candidate_below_the_floor_is_not_tuned(monkeypatch):
    monkeypatch.setattr(Trainer, 'fit', lambda *_: pytest.fail('trained'))
    network, candidates = make(screening=True)
    result = network.evaluate(candidates.domain.uniform(), floor=1.1)
    assert math.isnan(result.reward) and 0 <= result.before <= 1


def test_the_longer_tuning_is_not_screened():
    network, candidates = make(screening=True)
    result = network.evaluate(candidates.domain.uniform(), longer=True, floor=1.1)
    assert math.isfinite(result.reward) and math.isnan(result.before)


def test_a_candidate_that_diverges_is_worth_nothing_and_harms_no_other():
    network, candidates = make(peak=1e30)
    assert math.isnan(network.evaluate(candidates.domain.uniform()).reward)
    network._tuning = dataclasses.replace(network._tuning, num_steps=0)
    assert math.isfinite(network.evaluate(candidates.domain.uniform()).reward)


SEEN: dict[bool, list[int]] = {True: [], False: []}


class Recorder(keras.layers.Layer):
    """Writes down which samples a network sees, in training and otherwise."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        def record(numbers: tf.Tensor) -> np.int64:
            SEEN[bool(training)].extend(numbers.numpy().astype(int).tolist())
            return np.int64(0)

        done = tf.py_function(record, [inputs[:, 0, 0, 0]], tf.int64)
        with tf.control_dependencies([done]):
            return tf.identity(inputs)


class NumberedDataset(AbstractDataset):
    """Images whose every pixel is the number of the sample; those for evaluation begin at 100."""

    name, options_class, image_shape, num_classes = 'numbered', DatasetOptions, (2, 2, 1), 10

    def load(self, split: str) -> Samples:
        numbers = np.arange(NUM_TRAIN) if split == 'train' else 100 + np.arange(NUM_EVAL)
        return Samples(np.tile(numbers[:, None, None, None], (1, 2, 2, 1)).astype(np.uint8), numbers % 10)

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(images, tf.float32)

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return images


class NumberedHelper(ClassificationHelper):
    """A dense layer behind the recorder."""

    dataset_class, model_name, num_epochs, boundaries = NumberedDataset, 'recorder', 60, (30,)

    def build_model(self) -> keras.Model:
        inputs = keras.Input((2, 2, 1))
        return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(Recorder()(inputs / 1.0))))


class Anything(Candidates):
    """Candidates that are all the same network."""

    def __init__(self, model: keras.Model):
        self.model, self.parts = model, TrainerParts()
        self.domain = SearchSpace([Parameter('a', Kind.FLOAT)])

    def apply(self, values: Values) -> None:
        pass


def numbered(shard: Shard | None = None, hold_out: bool = True) -> NumberedHelper:
    options = DatasetOptions(
        num_train=NUM_TRAIN, num_val=NUM_HELD_OUT, num_eval=NUM_EVAL, batch_size=8, batch_size_eval=7, hold_out=hold_out
    )
    dataset = NumberedDataset(options, seed=1)
    dataset.shard = shard or Shard()
    return NumberedHelper(NetOptions(), dataset)


def samples_seen(helper: NumberedHelper, longer: bool = False, **changes) -> tuple[list[int], list[int]]:
    """What the network saw in training, and what its reward came from."""
    for numbers in SEEN.values():
        numbers.clear()
    tuning = tuning_of(helper, peak=1e-6, num_steps=40, num_longer=40, **changes)
    result = TrialNetwork(Anything(helper.build_model()), helper, tuning).evaluate({'a': 0.5}, longer)
    assert math.isfinite(result.reward)
    return list(SEEN[True]), list(SEEN[False])


def held_out_samples() -> set[int]:
    return set(numbered().dataset.split_indices(True)[1].tolist())


@pytest.mark.parametrize('hold_out', [True, False])
@pytest.mark.parametrize('longer', [True, False])
def test_rewards_come_from_samples_that_nothing_is_trained_or_evaluated_on(longer, hold_out):
    trained, result = samples_seen(numbered(hold_out=hold_out), longer)
    assert len(trained) == 40 * 8 and len(set(trained)) == NUM_TRAIN - NUM_HELD_OUT
    assert sorted(result) == sorted(held_out_samples()) and len(result) == NUM_HELD_OUT
    assert not set(trained) & set(result)
    evaluated = _numbers(numbered().build_dataset_eval())
    assert evaluated == set(range(100, 100 + NUM_EVAL)) and not evaluated & {*trained, *result}


def _numbers(batches: tf.data.Dataset) -> set[int]:
    return set(itertools.chain(*(images[:, 0, 0, 0].astype(int).tolist() for images, _ in batches.as_numpy_iterator())))


def test_with_two_shards_too():
    shares = [samples_seen(numbered(Shard(rank, 2))) for rank in (0, 1)]
    for trained, result in shares:
        assert sorted(result) == sorted(held_out_samples())
        assert not set(trained) & held_out_samples()
    assert shares[0][0] != shares[1][0]
    assert set(shares[0][0]) | set(shares[1][0]) == set(range(NUM_TRAIN)) - held_out_samples()


def test_short_judgements_see_the_first_batches_only():
    _, result = samples_seen(numbered(), num_eval_batches=2)
    assert result == sorted(held_out_samples())[:14]
    _, result = samples_seen(numbered(), longer=True, num_eval_batches=2)
    assert len(result) == NUM_HELD_OUT


def test_what_layers_are_sampled_from_is_not_held_out():
    images = numbered(hold_out=False).training_images(1000)
    assert set(images[:, 0, 0, 0].astype(int)) == set(range(NUM_TRAIN)) - held_out_samples()


def test_one_worker_alone_sees_all_batches():
    helper = numbered(Shard(1, 2))
    alone = unsharded(helper)
    assert alone.dataset.shard == Shard() and helper.dataset.shard == Shard(1, 2)
    first, second = (numbered(Shard(rank, 2)).build_dataset_train().take(2) for rank in (0, 1))
    own = alone.build_dataset_train().take(2).as_numpy_iterator()
    expected = [next(first.as_numpy_iterator()), next(second.as_numpy_iterator())]
    for one, two in zip(own, expected, strict=True):
        np.testing.assert_array_equal(one[0], two[0])


def test_the_tiny_pair_holds_out_what_it_says():
    assert len(tiny_helper().dataset.split_indices(False)[1]) == NUM_VAL
