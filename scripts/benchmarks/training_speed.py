"""Training speed of the Trainer, with its input pipeline, compared with a minimal loop on batches in memory.

The minimal loop is hand-written for this network: one `tf.function` per step, batches in memory, no reports. Network,
loss, optimizer and precision are the same. The Trainer should be at most 5 % slower.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import itertools
import sys
import time
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.channels import remove_channels
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.training.precision import compute_dtype, resolve_compute_dtype
from pocketflow.utils.training.trainer import STEPS_PER_CALL

RATIO_GOAL = 0.95
NUM_BATCHES = 8
PRUNE_RATIO = 0.5


class BareLoop:
    """Images per second of a hand-written loop; arguments as for `TrainerSpeed`."""

    def __init__(self, helper: AbstractModelHelper, num_steps: int, dtype: str):
        self._num_steps, self._dtype = num_steps, dtype
        self._batches = list(helper.build_dataset_train().take(NUM_BATCHES))
        self._step = _bare_step(helper)

    def __call__(self) -> float:
        with compute_dtype(self._dtype):
            self._run(STEPS_PER_CALL)
            begin = time.perf_counter()
            self._run(self._num_steps)
            seconds = time.perf_counter() - begin
        return self._num_steps * len(self._batches[0][1]) / seconds

    def _run(self, num_steps: int) -> None:
        for images, labels in itertools.islice(itertools.cycle(self._batches), num_steps):
            loss = self._step(images, labels)
        loss.numpy()  # waits for a GPU


def _bare_step(helper: AbstractModelHelper) -> tf.types.experimental.GenericFunction:
    model, optimizer = helper.build_model(), common.make_optimizer(helper)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss, _ = helper.calc_loss(labels, model(images, training=True), variables)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    helper = common.make_helper(arguments)
    dtype = resolve_compute_dtype('auto')
    measurements = {
        'trainer': common.TrainerSpeed(helper, arguments.steps),
        'bare': BareLoop(helper, arguments.steps, dtype),
    }
    if dtype != 'float32':
        measurements['float32'] = common.TrainerSpeed(helper, arguments.steps, 'float32')
        measurements |= {
            f'pruned_{name}': common.TrainerSpeed(helper, arguments.steps, name, _pruned(helper))
            for name in ('float32', dtype)
        }
    speeds = common.medians_of_rounds(measurements, arguments.rounds)
    speeds.setdefault('float32', speeds['trainer'])
    ratio = speeds['trainer'] / speeds['bare']
    gain = speeds['trainer'] / speeds['float32'] if dtype != 'float32' else None
    _show(helper, dtype, speeds)
    print(common.goal(f'Trainer / bare loop >= {RATIO_GOAL}: {ratio:.3f}', ratio >= RATIO_GOAL, arguments))
    pruned_gain = speeds[f'pruned_{dtype}'] / speeds['pruned_float32'] if gain else None
    print(
        f'{dtype} / float32: {gain:.2f}, after pruning {pruned_gain:.2f}' if gain else 'this machine trains in float32'
    )
    return {
        'ratio': round(ratio, 4),
        'trainer_images_per_second': round(speeds['trainer'], 1),
        'bare_images_per_second': round(speeds['bare'], 1),
        'compute_dtype': dtype,
        'float32_images_per_second': round(speeds['float32'], 1),
        'compute_dtype_gain': gain and round(gain, 4),
        'compute_dtype_gain_pruned': pruned_gain and round(pruned_gain, 4),
        'model': helper.model_name,
        'batch_size': helper.dataset.options.batch_size,
        'rounds': arguments.rounds,
        'steps': arguments.steps,
    }


def _pruned(helper: AbstractModelHelper) -> keras.Model:
    """The network with half of its channels: matrix units are slow with odd numbers of channels."""
    model = helper.build_model()
    return remove_channels(model, common.norm_plan(model, PRUNE_RATIO))


def _show(helper: AbstractModelHelper, dtype: str, speeds: dict[str, float]) -> None:
    rows = [(f'{helper.model_name} at {helper.dataset_name}, batch {helper.dataset.options.batch_size}', 'images/s')]
    rows += [
        (label, f'{speeds[name]:,.1f}')
        for name, label in (
            ('bare', f'bare loop, batches from memory, {dtype}'),
            ('trainer', f'Trainer, input pipeline, {dtype}'),
            ('float32', 'Trainer, input pipeline, float32'),
            ('pruned_float32', 'the same, half of the channels removed'),
            (f'pruned_{dtype}', f'the same in {dtype}'),
        )
        if name in speeds
    ]
    print(format_table(rows))


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_number('--rounds', 5, 1, 'rounds of which the median is taken')
    parser.add_number('--steps', 60, 5, 'training steps per round')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('training_speed', make_parser(), measure))
