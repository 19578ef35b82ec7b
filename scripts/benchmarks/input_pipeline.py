"""Images per second that a folder of JPEG files yields, beside what training takes in, and memory over many batches.

Two cases: small images, which a network eats fast, and photographs. Each is measured without a network, and as the
speed of training from the files against training from memory.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.abstract_dataset import AbstractDataset, Samples
from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.datasets.sourced_dataset import SourcedDataset
from pocketflow.nets.abstract_model_helper import ClassificationHelper, NetOptions
from pocketflow.nets.resnet import resnet
from pocketflow.scripts.benchmarks.trial_memory import memory_mib
from pocketflow.utils.reports.report import format_table

NUM_CLASSES = 4
RATIO_GOAL = 0.9
"""Training from files, as a share of the speed of training from memory."""
GROWTH_GOAL = 1.0
"""KiB of memory per batch, once the pipeline runs."""
WARMUP = 5
layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of images and the network that is trained on them.

    Attributes:
      stored: height and width of the files.
      size: of the network's input.
      batch_size: images per step.
      build: `build(image_shape, num_classes)` gives the network.
      cache_size: MiB for decoded images while training: 50,000 images of 32 x 32 pixels fit into the default, as many
        photographs do not.
    """

    stored: tuple[int, int]
    size: int
    batch_size: int
    build: Callable[[tuple[int, int, int], int], keras.Model]
    cache_size: int = 0


def resnet_18(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """A residual network of 18 layers for photographs (He et al. 2016)."""

    def convolved(features, filters: int, size: int, strides: int):
        return layers.BatchNormalization()(
            layers.Conv2D(filters, size, strides=strides, padding='same', use_bias=False)(features)
        )

    inputs = layers.Input(image_shape)
    features = layers.MaxPooling2D(3, 2, padding='same')(layers.ReLU()(convolved(inputs, 64, 7, 2)))
    for filters in (64, 128, 256, 512):
        for strides in (1 if filters == 64 else 2, 1):
            change = strides > 1 or features.shape[-1] != filters
            shortcut = convolved(features, filters, 1, strides) if change else features
            inner = layers.ReLU()(convolved(features, filters, 3, strides))
            features = layers.ReLU()(layers.Add()([convolved(inner, filters, 3, 1), shortcut]))
    return keras.Model(inputs, layers.Dense(num_classes)(layers.GlobalAveragePooling2D()(features)))


CASES = {
    '32 x 32': Case((32, 32), 32, 64, lambda shape, num_classes: resnet(20, shape, num_classes), 256),
    '500 x 375 to 224 x 224': Case((375, 500), 224, 16, resnet_18),
}
SMOKE_CASES = {'smoke': Case((12, 16), 8, 4, common.small_network)}


class Memory(AbstractDataset):
    """The same number of images of the network's size, held in memory."""

    name = 'memory'
    options_class = FolderOptions
    num_classes = NUM_CLASSES
    image_shape = (0, 0, 0)

    def __init__(self, like: FolderDataset):
        super().__init__(like.options, like.seed)
        self.image_shape = like.image_shape

    def load(self, split: str) -> Samples:
        rng = np.random.default_rng(common.SEED)
        num = self.options.num_train
        return Samples(rng.integers(0, 256, (num, *self.image_shape)).astype(np.uint8), np.arange(num) % NUM_CLASSES)

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(images, tf.float32) / 255


class Helper(ClassificationHelper):
    """A new network at either."""

    num_epochs = 1000
    model_name = 'network'

    def __init__(self, dataset: SourcedDataset, case: Case):
        super().__init__(NetOptions(learning_rate=1e-3), dataset)
        self._case = case

    def build_model(self) -> keras.Model:
        return self._case.build(self.dataset.image_shape, NUM_CLASSES)


def write_photos(folder: Path, stored: tuple[int, int], num: int) -> None:
    """JPEG files of smooth colours with some noise, which are about as large as photographs are."""
    rng = np.random.default_rng(common.SEED)
    for number in range(num):
        coarse = rng.uniform(0, 255, (1, 6, 8, 3)).astype(np.float32)
        pixels = tf.image.resize(coarse, stored)[0] + rng.normal(0, 6, (*stored, 3))
        content = tf.io.encode_jpeg(tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8), quality=90)
        path = folder / f'class {number % NUM_CLASSES}' / f'{number}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.numpy())


def photos(folder: Path, case: Case, num: int) -> FolderDataset:
    """The data set of freshly written files."""
    write_photos(folder, case.stored, num)
    options = FolderOptions(
        data_dir_local=str(folder),
        num_train=num // 2,
        num_val=1,
        eval_share=0.25,
        batch_size=case.batch_size,
        cache_size=0,
    )
    return FolderDataset(options, common.SEED, (case.size, case.size, 3))


def batches_of(data: SourcedDataset) -> Iterator[Any]:
    """The endless stream of training batches, running."""
    batches = iter(data.train_batches(data.split_indices(False)[0]))
    for _ in range(WARMUP):
        next(batches)
    return batches


def images_per_second(data: SourcedDataset, num_batches: int) -> float:
    """How fast batches come if nothing else is done."""
    batches, begin = batches_of(data), time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    return num_batches * data.options.batch_size / (time.perf_counter() - begin)


def growth_kib(data: SourcedDataset, num_batches: int) -> float:
    """KiB of resident memory that each batch leaves behind, over the second half of them."""
    batches, marks = batches_of(data), []
    for _ in range(2):
        for _ in range(num_batches // 2):
            next(batches)
        marks.append(memory_mib())
    return 1024 * (marks[1] - marks[0]) / (num_batches // 2)


def measure_case(name: str, case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        data = photos(Path(folder), case, arguments.images)
        trained, memory = data.with_options(cache_size=case.cache_size), Memory(data)
        contestants = {
            'pipeline': lambda: images_per_second(data, arguments.steps),
            'from_files': common.TrainerSpeed(Helper(trained, case), arguments.steps),
            'from_memory': common.TrainerSpeed(Helper(memory, case), arguments.steps),
        }
        speeds = common.medians_of_rounds(contestants, arguments.rounds)
        growth = growth_kib(data, arguments.batches)
    return {
        'case': name,
        **{f'{key}_images_per_second': round(value, 1) for key, value in speeds.items()},
        'pipeline_to_training': round(speeds['pipeline'] / speeds['from_memory'], 3),
        'files_to_memory': round(speeds['from_files'] / speeds['from_memory'], 3),
        'growth_kib_per_batch': round(growth, 2),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    cases = SMOKE_CASES if arguments.smoke else CASES
    rows = [measure_case(name, case, arguments) for name, case in cases.items()]
    head = ('JPEG files', 'files alone, images/s', 'training from memory', 'training from files', 'KiB per batch')
    keys = ('pipeline', 'from_memory', 'from_files')
    print(
        format_table(
            [
                head,
                *(
                    (
                        row['case'],
                        *(f'{row[f"{key}_images_per_second"]:,.0f}' for key in keys),
                        f'{row["growth_kib_per_batch"]:.1f}',
                    )
                    for row in rows
                ),
            ]
        )
    )
    for row in rows:
        ratio, growth = row['files_to_memory'], row['growth_kib_per_batch']
        is_met = ratio >= RATIO_GOAL and growth <= GROWTH_GOAL
        text = f'{row["case"]}: from files / from memory >= {RATIO_GOAL}: {ratio:.2f}, KiB per batch <= {GROWTH_GOAL:g}'
        print(common.goal(text, is_met, arguments))
    return {'rows': rows, 'images': arguments.images, 'steps': arguments.steps, 'rounds': arguments.rounds}


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_number('--images', 512, 24, 'JPEG files per case')
    parser.add_number('--rounds', 3, 1, 'rounds of which the median is taken')
    parser.add_number('--steps', 30, 4, 'batches, and training steps, per round')
    parser.add_number('--batches', 400, 20, 'batches over which memory is watched')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('input_pipeline', make_parser(), measure))
