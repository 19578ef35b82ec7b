"""Duration of training steps with and without simulated quantization.

Same network, loss, optimizer and precision, with batches of noise in memory. Simulated quantization should increase
the duration by a factor of at most 1.6.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.abstract_model_helper import weight_decay_loss
from pocketflow.nets.resnet import resnet
from pocketflow.utils.quantization import (
    BucketQuantizer,
    CodebookQuantizer,
    Quantizer,
    activation_ranges,
    quantizable_layers,
    quantized_copy,
)
from pocketflow.utils.quantization.encoding import Buckets
from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware
from pocketflow.utils.quantization.limits import FULL_BITS
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.training.options import COMPUTE_DTYPES
from pocketflow.utils.training.precision import compute_dtype, resolve_compute_dtype

RATIO_GOAL = 1.6
PLAIN = 'plain'
WARM_UP_STEPS = 3

# Variant -> (quantizer of the weights, bits of the activations).
VARIANTS: dict[str, tuple[Callable[[], Quantizer], int]] = {
    'uniform 4': (lambda: BucketQuantizer(4, Buckets()), FULL_BITS),
    'uniform 4, buckets of 256': (lambda: BucketQuantizer(4, Buckets('split', 256)), FULL_BITS),
    'symmetric 8, activations 8': (lambda: BucketQuantizer(8, Buckets('channel'), symmetric=True), 8),
    'code books 4': (lambda: CodebookQuantizer(4, Buckets()), FULL_BITS),
    'code books 4, buckets of 256': (lambda: CodebookQuantizer(4, Buckets('split', 256)), FULL_BITS),
}
INT8 = 'uniform-tf'
"""The variant with fake quantization of weights and all activations, as for an int8 file."""


class StepTime:
    """Milliseconds per training step of a model, in rounds that continue the training."""

    def __init__(self, model: keras.Model, arguments: argparse.Namespace, image_shape: tuple[int, ...], dtype: str):
        rng = np.random.default_rng(common.SEED)
        self._images = tf.constant(rng.normal(size=(arguments.batch_size, *image_shape)), tf.float32)
        self._labels = tf.constant(rng.integers(10, size=arguments.batch_size), tf.int64)
        self._num_steps, self._dtype, self._step = arguments.steps, dtype, _training_step(model)

    def __call__(self) -> float:
        with compute_dtype(self._dtype):
            self._run(WARM_UP_STEPS)
            begin = time.perf_counter()
            self._run(self._num_steps)
            return 1000 * (time.perf_counter() - begin) / self._num_steps

    def _run(self, num_steps: int) -> None:
        for _ in range(num_steps):
            loss = self._step(self._images, self._labels)
        loss.numpy()  # waits for a GPU


def _training_step(model: keras.Model) -> tf.types.experimental.GenericFunction:
    optimizer = keras.optimizers.SGD(1e-4, momentum=0.9, jit_compile=False)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=True))
            loss = tf.reduce_mean(losses) + 1e-4 * weight_decay_loss(variables)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def variant(model: keras.Model, make_quantizer: Callable[[], Quantizer], activation_bits: int) -> keras.Model:
    """A copy of the model with all weights but those of the first and the last layer quantized."""
    quantizers = {layer.name: make_quantizer() for layer in quantizable_layers(model)[1:-1]}
    return quantized_copy(model, quantizers, activation_bits, activation_ranges(model, noise(model)))


def noise(model: keras.Model) -> np.ndarray:
    """A few inputs for the calibration of activation ranges."""
    return np.random.default_rng(common.SEED).normal(size=(10, *model.input_shape[1:])).astype(np.float32)


def has_float_activations(name: str) -> bool:
    return name != INT8 and VARIANTS[name][1] == FULL_BITS


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    shape = (16, 16, 3) if arguments.smoke else (32, 32, 3)
    model = common.small_network(shape, 10) if arguments.smoke else resnet(20, shape, 10)
    dtype = resolve_compute_dtype(arguments.compute_dtype, model)
    models = {PLAIN: model} | {name: variant(model, *parts) for name, parts in VARIANTS.items()}
    models[INT8] = quantization_aware(model, noise(model), Settings())
    times = common.medians_of_rounds(
        {name: StepTime(one, arguments, shape, dtype) for name, one in models.items()}, arguments.rounds
    )
    rows = [{'variant': name, 'ms': round(ms, 2), 'ratio': round(ms / times[PLAIN], 3)} for name, ms in times.items()]
    print(
        format_table(
            [(f'{model.name}, batch {arguments.batch_size}, {dtype}', 'ms per step', 'ratio')]
            + [(row['variant'], f'{row["ms"]:.1f}', f'{row["ratio"]:.2f}') for row in rows]
        )
    )
    ratios = {}
    for what, wanted in (('weights', True), ('weights and activations', False)):
        ratios[what] = max(row['ratio'] for row in rows[1:] if has_float_activations(row['variant']) == wanted)
        print(
            common.goal(
                f'{what} simulated / plain <= {RATIO_GOAL}: {ratios[what]:.2f}', ratios[what] <= RATIO_GOAL, arguments
            )
        )
    return {
        'worst_ratio_weights': ratios['weights'],
        'ratio_with_activations': ratios['weights and activations'],
        'rows': rows,
        'model': model.name,
        'batch_size': arguments.batch_size,
        'compute_dtype': dtype,
        'rounds': arguments.rounds,
        'steps': arguments.steps,
    }


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_number('--rounds', 7, 1, 'rounds of which the median is taken')
    parser.add_number('--steps', 10, 1, 'training steps per round')
    parser.add_number('--batch_size', 128, 8, 'images per step')
    parser.add_argument('--compute_dtype', choices=COMPUTE_DTYPES, default='auto', help='as of main.py')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('quantized_step', make_parser(), measure))
