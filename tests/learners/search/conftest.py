"""A tiny pair with sixty training samples, and candidates as the methods draw them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tf_keras as keras

from pocketflow.datasets.digits_dataset import DigitsDataset, DigitsOptions
from pocketflow.hp_optimizer import OPTIMIZERS
from pocketflow.hp_optimizer.domain import Domain, Values
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.nets.abstract_model_helper import ClassificationHelper, NetOptions
from tests.learners.conftest import make_context

layers = keras.layers
NUM_TRAIN, NUM_VAL, NUM_EVAL = 60, 20, 40
KERNELS = {'a': (3, 3, 1, 8), 'b': (3, 3, 8, 12), 'hidden': (48, 16), 'logits': (16, 10)}
"""The shapes of the tiny network's kernels."""


def tiny_net(seed: int = 0) -> keras.Model:
    """Two convolutions and two dense layers, with random biases and statistics, as a trained network has them."""
    keras.utils.set_random_seed(seed)
    inputs = layers.Input((8, 8, 1))
    features = layers.Conv2D(8, 3, padding='same', activation='relu', name='a')(inputs)
    features = layers.MaxPooling2D(2)(features)
    features = layers.Conv2D(12, 3, padding='same', use_bias=False, name='b')(features)
    features = layers.ReLU()(layers.BatchNormalization(name='normalized')(features))
    features = layers.Flatten()(layers.MaxPooling2D(2)(features))
    features = layers.Dense(16, activation='relu', name='hidden')(features)
    model = keras.Model(inputs, layers.Dense(10, name='logits')(features), name='tiny')
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(weight + rng.uniform(0.0, 0.2, weight.shape))
    return model


class TinyHelper(ClassificationHelper):
    """The tiny network at digits."""

    dataset_class = DigitsDataset
    model_name = 'tiny'
    num_epochs = 60
    boundaries = (30, 40, 50)

    def build_model(self) -> keras.Model:
        return tiny_net()


def tiny_helper(**net_options) -> TinyHelper:
    data = DigitsOptions(
        num_train=NUM_TRAIN, num_val=NUM_VAL, num_eval=NUM_EVAL, batch_size=8, batch_size_eval=7, hold_out=True
    )
    return TinyHelper(NetOptions(**net_options), DigitsDataset(data))


def tiny_context(folder: Path, search: SearchOptions | None = None) -> LearnerContext:
    context = make_context('lenet_at_digits', folder)
    return dataclasses.replace(context, helper=tiny_helper(), search=search or SearchOptions())


def drawn(domain: Domain, method: str, count: int = 20) -> list[Values]:
    """The first candidates that a method asks for."""
    optimizer = OPTIMIZERS.get(method)(domain, seed=3, num_trials=count)
    found = []
    for _ in range(count):
        found.append(optimizer.ask())
        optimizer.tell(found[-1], float(np.sin(7 * len(found))))
    return found
