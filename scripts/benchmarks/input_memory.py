"""Memory of training on a folder of JPEG files that do not fit into it.

The files are random crops of scikit-learn's two photographs. They are read as by `--dataset=folder` with its
defaults, every one is decoded before the training, and a small network is trained on them by the loop of all learners.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.datasets
import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.nets.abstract_model_helper import ClassificationHelper, NetOptions
from pocketflow.scripts.benchmarks.trial_memory import memory_mib
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.training.options import TrainerOptions
from pocketflow.utils.training.trainer import Trainer

SIZE, NUM_CLASSES = 224, 10
MAX_SIZE = 320
"""Height and width of the largest crops, which are reduced to the size of the files."""
GOAL_MIB = 1.5 * 1024
"""Largest accepted growth of the resident memory over the training."""
INTERVAL = 0.2
"""Seconds between two looks at the memory."""
NUM_MARKS = 10
"""How often the memory is noted during the training."""
SAID = 10_000
"""So many files are one line of progress."""
layers = keras.layers


class Helper(ClassificationHelper):
    """A network that is small enough for the input to be most of the work."""

    num_epochs = 1000
    model_name = 'small'

    def build_model(self) -> keras.Model:
        inputs = keras.Input(self.dataset.image_shape)
        features = layers.Conv2D(8, 8, strides=8, activation='relu')(inputs)
        features = layers.Conv2D(16, 3, strides=2, activation='relu')(features)
        return keras.Model(inputs, layers.Dense(NUM_CLASSES)(layers.GlobalAveragePooling2D()(features)))


def write_photos(folder: Path, num: int) -> int:
    """Writes JPEG files of 224 x 224 pixels, random crops of two photographs; returns the number of their bytes."""
    rng, photos = np.random.default_rng(common.SEED), sklearn.datasets.load_sample_images().images
    num_bytes = 0
    for number in range(num):
        photo, size = photos[number % len(photos)], int(rng.integers(SIZE, MAX_SIZE + 1))
        top, left = (int(rng.integers(0, length - size + 1)) for length in photo.shape[:2])
        crop = photo[top : top + size, left : left + size, :][:, :: rng.choice((-1, 1))]
        pixels = tf.image.resize(crop, (SIZE, SIZE))
        content = tf.io.encode_jpeg(tf.cast(tf.round(pixels), tf.uint8), quality=85).numpy()
        path = folder / f'class {number % NUM_CLASSES}' / f'{number}.jpg'
        path.parent.mkdir(exist_ok=True)
        num_bytes += path.write_bytes(content)
        if (number + 1) % SAID == 0:
            common.say(f'{number + 1}/{num} files')
    return num_bytes


class Watch:
    """Looks at the resident memory again and again.

    Attributes:
      peak: the largest value so far, MiB.
    """

    def __init__(self) -> None:
        self.peak = memory_mib()
        self._ended = threading.Event()

    def _look(self) -> None:
        while not self._ended.wait(INTERVAL):
            self.peak = max(self.peak, memory_mib())

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        self.peak = max(self.peak, memory_mib())


class MemoryLog(MetricsLog):
    """Takes the memory instead of the metrics."""

    def __init__(self, marks: list[tuple[str, float]]):
        self._marks = marks

    def rewind(self, stage: str, step: int) -> None:
        pass

    def write(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        self._marks.append((f'step {step:,}', memory_mib()))
        common.say(f'step {step}: {self._marks[-1][1]:.0f} MiB, {values["images_per_second"]:.0f} images/s')


def measure_folder(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    size = write_photos(folder, arguments.images)
    begin, marks = time.perf_counter(), [('no file is open', memory_mib())]
    with Watch() as reading:
        data = FolderDataset(FolderOptions(data_dir_local=str(folder)), common.SEED, (SIZE, SIZE, 3))
        helper = Helper(NetOptions(learning_rate=1e-3), data)
        model = helper.build_model()
        data.source('train')
    marks.append(('all files were decoded once', memory_mib()))
    read_seconds = time.perf_counter() - begin
    options = TrainerOptions(summary_step=max(1, arguments.steps // NUM_MARKS))
    with Watch() as training:
        trainer = Trainer(
            model, helper.calc_loss, common.make_optimizer(helper), options, log=MemoryLog(marks), label='train'
        )
        per_second = trainer.fit(lambda step: helper.build_dataset_train(first_step=step), arguments.steps)
    return {
        'folder_mib': round(size / 2**20, 1),
        'batch_size': data.options.batch_size,
        'read_seconds': round(read_seconds, 1),
        'images_per_second': round(per_second, 1),
        'rows': [{'when': when, 'mib': round(mib, 1)} for when, mib in marks],
        'peak_reading_mib': round(reading.peak, 1),
        'peak_training_mib': round(training.peak, 1),
        'growth_reading_mib': round(reading.peak - marks[0][1], 1),
        'growth_training_mib': round(training.peak - marks[1][1], 1),
        'growth_mib': round(max(reading.peak, training.peak) - marks[0][1], 1),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix='pocketflow-photos-') as folder:
        result = measure_folder(Path(folder), arguments)
    print(
        format_table(
            [
                (f'{arguments.images:,} JPEG files, {result["folder_mib"]:,.0f} MiB', 'resident, MiB'),
                *((row['when'], f'{row["mib"]:,.0f}') for row in result['rows']),
                ('largest while reading', f'{result["peak_reading_mib"]:,.0f}'),
                ('largest while training', f'{result["peak_training_mib"]:,.0f}'),
            ]
        )
    )
    text = f'growth over reading and {arguments.steps:,} steps < {GOAL_MIB:,.0f} MiB: {result["growth_mib"]:,.0f}'
    print(common.goal(text, result['growth_mib'] < GOAL_MIB, arguments))
    return {'images': arguments.images, 'steps': arguments.steps, **result}


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_number('--images', 50_000, 100, 'JPEG files of 224 x 224 pixels')
    parser.add_number('--steps', 2000, 4, 'training steps')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('input_memory', make_parser(), measure))
