"""Pairs of other tasks than classification, at scikit-learn's digits: one file outside the framework.

    python main.py --model_helper=examples/tasks_at_digits.py --model=ink --dataset=digits --learner=chn-pruned-rmt

`ink`: regression of two numbers; `traits`: three yes-or-no questions at once; `two_inputs`: a network that takes an
image and a vector; `two_outputs`: a network that gives a class and two numbers.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets import DigitsDataset
from pocketflow.datasets.abstract_dataset import Samples
from pocketflow.nets.abstract_model_helper import PAIRS, NetOptions, TaskHelper
from pocketflow.nets.tasks import Classification, MultiLabel, MultiOutput, Regression
from pocketflow.utils.options import with_defaults

layers = keras.layers
PRIMES = (2, 3, 5, 7)
SmallRate = with_defaults(NetOptions, 'SmallRate', learning_rate=0.02, batch_size_norm=32.0)


def ink(images: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of the pixels (0 to 1) of images `[N, 8, 8, 1]`: float32 `[N, 2]`."""
    pixels = images.reshape(len(images), -1) / 16
    return np.stack([pixels.mean(axis=1), pixels.std(axis=1)], axis=1).astype(np.float32)


def features(inputs: tf.Tensor) -> tf.Tensor:
    """Two convolutions with pooling, and a hidden layer."""
    maps = inputs
    for number, filters in enumerate((16, 32), start=1):
        maps = layers.Conv2D(filters, 3, padding='same', activation='relu', name=f'conv{number}')(maps)
        maps = layers.MaxPooling2D(2, name=f'pool{number}')(maps)
    return layers.Dense(32, activation='relu', name='hidden')(layers.Flatten(name='flatten')(maps))


class DigitsHelper(TaskHelper):
    """What the pairs share."""

    net_options_class = SmallRate
    dataset_class = DigitsDataset
    num_epochs = 30
    boundaries = (20,)


class InkDataset(DigitsDataset):
    """Digits, labelled with their `ink`."""

    num_classes = None

    def load(self, split: str) -> Samples:
        images, _ = super().load(split)
        return Samples(images, ink(images))


@PAIRS.register('ink_at_digits')
class InkAtDigits(DigitsHelper):
    """Regression of two numbers."""

    task = Regression()
    dataset_class = InkDataset
    model_name = 'ink'

    def build_model(self) -> keras.Model:
        inputs = layers.Input(self.dataset.image_shape, name='images')
        return keras.Model(inputs, layers.Dense(2, name='numbers')(features(inputs)), name='ink')


class TraitsDataset(DigitsDataset):
    """Digits, labelled as odd, above 4, prime."""

    num_classes = 3

    def load(self, split: str) -> Samples:
        images, digits = super().load(split)
        return Samples(images, np.stack([digits % 2, digits > 4, np.isin(digits, PRIMES)], axis=1))


@PAIRS.register('traits_at_digits')
class TraitsAtDigits(DigitsHelper):
    """Several labels per image."""

    task = MultiLabel()
    dataset_class = TraitsDataset
    model_name = 'traits'

    def build_model(self) -> keras.Model:
        inputs = layers.Input(self.dataset.image_shape, name='images')
        return keras.Model(inputs, layers.Dense(3, name='traits')(features(inputs)), name='traits')


class TwoInputsDataset(DigitsDataset):
    """Digits with the sums of their rows as a second input."""

    image_shape = {'images': (8, 8, 1), 'rows': (8,)}

    def load(self, split: str) -> Samples:
        images, digits = super().load(split)
        return Samples({'images': images, 'rows': images.sum(axis=(2, 3))}, digits)

    def normalize(self, images: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {'images': super().normalize(images['images']), 'rows': tf.cast(images['rows'], tf.float32) / 128}


@PAIRS.register('two_inputs_at_digits')
class TwoInputsAtDigits(DigitsHelper):
    """A network with two inputs, named as in its data set."""

    task = Classification()
    dataset_class = TwoInputsDataset
    model_name = 'two_inputs'

    def build_model(self) -> keras.Model:
        images, rows = (layers.Input(shape, name=name) for name, shape in self.dataset.image_shape.items())
        joined = layers.Concatenate(name='join')([features(images), layers.Dense(8, name='of_rows')(rows)])
        return keras.Model([images, rows], layers.Dense(10, name='logits')(joined), name='two_inputs')


class TwoOutputsDataset(DigitsDataset):
    """Digits, labelled with their class and their `ink`."""

    def load(self, split: str) -> Samples:
        images, digits = super().load(split)
        return Samples(images, {'digit': digits, 'ink': ink(images)})


@PAIRS.register('two_outputs_at_digits')
class TwoOutputsAtDigits(DigitsHelper):
    """A network with two outputs, named as the labels of its data set."""

    task = MultiOutput({'digit': Classification(), 'ink': Regression()})
    dataset_class = TwoOutputsDataset
    model_name = 'two_outputs'

    def build_model(self) -> keras.Model:
        inputs = layers.Input(self.dataset.image_shape, name='images')
        shared = features(inputs)
        outputs = {'digit': layers.Dense(10, name='digit')(shared), 'ink': layers.Dense(2, name='ink')(shared)}
        return keras.Model(inputs, outputs, name='two_outputs')
