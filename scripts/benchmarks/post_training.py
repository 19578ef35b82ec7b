"""Post-training quantization: accuracy of the exported files, and minutes of processor time.

Three tables. `resnet`: the network at --model and its files on the whole evaluation set of CIFAR-10. `mobile`: a small
network of depthwise convolutions with ReLU6, trained for digits within seconds; and the same network with channels of
random scales, which computes the same, as a network has whose training left some channels large and others small:
equalization is to undo that. `applications`: networks of `tf_keras.applications` with random weights, and how far their
files are from the models that simulate them.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tf_keras as keras

from pocketflow.learners.post_training.equalization import channel_maxima, divide, limited, pairs
from pocketflow.learners.post_training.folding import folded
from pocketflow.learners.post_training.quantizing import quantize_post_training
from pocketflow.nets import PAIRS
from pocketflow.scripts.benchmarks.network_coverage import calibrated, random_images
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.narrow import with_int4_weights
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.reports.report import format_table

ALL = 'all'
TABLES = ('resnet', 'mobile', 'applications')
CASES: Mapping[str, Mapping[str, Any]] = {
    'int8': {},
    'int8-simple': {'calibration': 'minmax', 'bias_correction': False},
    'int8-percentile': {'calibration': 'percentile'},
    'int4-simple': {'weight_bits': 4, 'rounding': 'nearest', 'bias_correction': False},
    'int4-nearest': {'weight_bits': 4, 'rounding': 'nearest'},
    'int4-adaround': {'weight_bits': 4},
    'int4-equalized': {'weight_bits': 4, 'equalize': True},
    'int3-simple': {'weight_bits': 3, 'rounding': 'nearest', 'bias_correction': False},
    'int3-adaround': {'weight_bits': 3},
    'mixed': {'weight_bits': 'mixed'},
}
"""Case -> arguments; the simple ones have no bias correction. Weights of 3 bits are stored in 4."""
SMOKE_CASES = ('int8', 'int4-adaround')
MOBILE_CASES = ('int8', 'int4-simple', 'int4-adaround')
MOBILE_FILTERS = (32, 32, 48, 48)
APPLICATIONS = ('MobileNetV2', 'EfficientNetB0', 'DenseNet121', 'ResNet50')
INT8_GOAL, ADAROUND_GOAL = 0.1, 2.0
"""Points that int8 may lose, and that adaround must gain over rounding to the nearest."""
FILE_GOAL = 0.03
"""Largest difference of the outputs of a file from those of its model, as a share of their range."""

k = keras.layers


class Data(NamedTuple):
    """Training images, and evaluation images with their classes."""

    calibration: np.ndarray
    images: np.ndarray
    labels: np.ndarray

    def accuracy(self, content: bytes) -> float:
        outputs = LiteRtRunner(content).predict(self.images)
        return float(np.mean(outputs.argmax(-1) == self.labels))


def data_of(helper: Any, num_images: int) -> Data:
    batches = [*helper.build_dataset_eval().as_numpy_iterator()]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Data(helper.training_images(num_images, common.SEED), images, labels)


def measured(name: str, case: str, model: keras.Model, data: Data, **changes: Any) -> dict[str, Any]:
    """One row: quantizes a model, writes its file, and measures that."""
    arguments, begin = {**CASES[case], **changes}, time.process_time()
    result = quantize_post_training(model, data.calibration, seed=common.SEED, **arguments)
    seconds = time.process_time() - begin
    content = with_int4_weights(convert(result.model, 'int8'))
    row = {
        'network': name,
        'case': f'{case}, equalized' if changes.get('equalize') else case,
        'accuracy': data.accuracy(content),
        'bytes': len(content),
        'seconds': round(seconds, 1),
    }
    common.say(f'{row["network"]}: {row["case"]}: {row["accuracy"]:.2%}, {row["bytes"]:,} bytes, {seconds:.0f} s')
    return row


def float_row(name: str, model: keras.Model, data: Data) -> dict[str, Any]:
    content = convert(model, 'float32')
    return {
        'network': name,
        'case': 'float32',
        'accuracy': data.accuracy(content),
        'bytes': len(content),
        'seconds': 0.0,
    }


def resnet_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """ResNet at CIFAR-10; in a smoke test LeNet at digits, trained for a few steps."""
    helper = common.make_helper(arguments)
    data = data_of(helper, arguments.num_images)
    model = (
        trained(helper.build_model(), helper, 1) if arguments.smoke else common.trained_model(arguments.model, helper)
    )
    name = model.name
    rows = [float_row(name, model, data)]
    for case in arguments.cases:
        budget = {}
        if case == 'mixed':
            budget['max_bytes'] = arguments.max_bytes
        rows.append(measured(name, case, model, data, num_iterations=arguments.num_iterations, **budget))
    return rows


def mobile_network(block_filters: Sequence[int]) -> keras.Model:
    """Depthwise and pointwise convolutions with batch norm and ReLU6, for images of 8 x 8 pixels."""

    def block(features: Any, filters: int, kernel: int, name: str) -> Any:
        for layer in (
            k.DepthwiseConv2D(kernel, padding='same', use_bias=False, name=f'{name}_depthwise'),
            k.Conv2D(filters, 1, use_bias=False, name=f'{name}_pointwise'),
        ):
            features = k.ReLU(6.0)(k.BatchNormalization()(layer(features)))
        return features

    inputs = keras.Input((8, 8, 1))
    features = k.ReLU(6.0)(k.BatchNormalization()(k.Conv2D(16, 3, padding='same', use_bias=False)(inputs)))
    for number, filters in enumerate(block_filters, start=1):
        features = block(features, filters, 3, f'block{number}')
    return keras.Model(inputs, k.Dense(10, name='logits')(k.GlobalAveragePooling2D()(features)), name='mobile')


def trained(model: keras.Model, helper: Any, num_epochs: int) -> keras.Model:
    """The model after a short training with Adam."""
    images, labels = helper.training_samples(10**6, common.SEED)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(images, labels, 32, num_epochs, verbose=0)
    return model


def with_random_scales(model: keras.Model, images: np.ndarray, spread: float = 8.0) -> keras.Model:
    """The folded network with channels between two layers divided by random factors, where that changes nothing.

    The factors are limited by the ReLU6 as those of the equalization are.
    """
    plain, rng = folded(model), np.random.default_rng(common.SEED)
    largest = channel_maxima(plain, [pair.first for pair in pairs(plain)], images)
    for pair in pairs(plain):
        divisors = np.exp(rng.uniform(-np.log(spread), np.log(spread), len(largest[pair.first])))
        if pair.limited:
            divisors = limited(divisors, largest[pair.first])
        divide(plain, pair, divisors)
    return plain


def mobile_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    helper_class = PAIRS.get('lenet_at_digits')
    dataset = helper_class.dataset_class(helper_class.dataset_class.options_class(), common.SEED)
    helper = helper_class(helper_class.net_options_class(), dataset)
    data = data_of(helper, arguments.num_images)
    model = trained(mobile_network(MOBILE_FILTERS[: 1 if arguments.smoke else None]), helper, arguments.mobile_epochs)
    rows = []
    networks = {'mobile': model, 'mobile, random scales': with_random_scales(model, data.calibration)}
    if arguments.smoke:
        del networks['mobile']  # it takes the same way as the other
    for name, network in networks.items():
        rows.append(float_row(name, network, data))
        for case in SMOKE_CASES[:1] if arguments.smoke else MOBILE_CASES:
            for is_equalized in (True,) if arguments.smoke else (False, True):
                changes = {'num_iterations': arguments.num_iterations, 'equalize': is_equalized}
                rows.append(measured(name, case, network, data, **changes))
    return rows


def application_row(name: str, build: Callable[[], keras.Model]) -> dict[str, Any]:
    """How far the file of a network with random weights is from the model that simulates it."""
    model = build()
    images = random_images(model, 32)
    model, begin = calibrated(model, images), time.process_time()
    result = quantize_post_training(model, images, equalize=True)
    seconds = time.process_time() - begin
    outputs = LiteRtRunner(convert(result.model, 'int8')).predict(images)
    simulated, wanted = result.model(images, training=False).numpy(), model(images, training=False).numpy()
    row = {
        'network': name,
        'pairs': result.num_equalized,
        'file_to_model': float(np.abs(outputs - simulated).max() / np.ptp(simulated)),
        'file_to_float': float(np.abs(outputs - wanted).max() / np.ptp(wanted)),
        'seconds': round(seconds, 1),
    }
    common.say(f'{row}')
    return row


def application_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    if arguments.smoke:
        return [application_row('small', lambda: common.small_network((16, 16, 3), 10))]
    rows = []
    for name in APPLICATIONS:
        keras.backend.clear_session()
        keras.utils.set_random_seed(common.SEED)
        make = getattr(keras.applications, name)
        shape = (arguments.size, arguments.size, 3)
        rows.append(
            application_row(
                name,
                lambda make=make, shape=shape: make(
                    weights=None, input_shape=shape, classes=10, classifier_activation=None
                ),
            )
        )
    return rows


def goals(tables: Mapping[str, list[dict[str, Any]]]) -> dict[str, bool]:
    """What is expected of the tables that were measured -> whether it is met."""
    found: dict[str, bool] = {}
    accuracy = {row['case']: 100 * row['accuracy'] for row in tables.get('resnet', ())}
    if 'int8' in accuracy:
        found[f'int8 loses <= {INT8_GOAL:g} points'] = accuracy['float32'] - accuracy['int8'] <= INT8_GOAL + 1e-6
    simple, adaptive = (accuracy.get(f'int4-{name}') for name in ('simple', 'adaround'))
    if simple is not None and adaptive is not None:
        text = f'int4: adaround is better than rounding to the nearest by >= {ADAROUND_GOAL:g} points'
        found[text] = adaptive - simple >= ADAROUND_GOAL
    if rows := tables.get('applications'):
        text = f'the files of applications differ from their models by <= {FILE_GOAL:g} of the range'
        found[text] = all(row['file_to_model'] <= FILE_GOAL for row in rows)
    return found


def print_tables(tables: Mapping[str, list[dict[str, Any]]]) -> None:
    for name, rows in tables.items():
        if name == 'applications':
            header = ('network', 'pairs', 'file to model', 'file to float', 'processor s')
            lines = [
                (
                    row['network'],
                    str(row['pairs']),
                    f'{row["file_to_model"]:.4f}',
                    f'{row["file_to_float"]:.3f}',
                    f'{row["seconds"]:.0f}',
                )
                for row in rows
            ]
        else:
            header = ('network', 'case', 'accuracy', 'bytes', 'processor s')
            lines = [
                (row['network'], row['case'], f'{row["accuracy"]:.2%}', f'{row["bytes"]:,}', f'{row["seconds"]:.0f}')
                for row in rows
            ]
        print(format_table([header, *lines]), end='\n\n')


def chosen(flag: str, given: str, known: Collection[str]) -> list[str]:
    """The names of a flag, in the order of the tables."""
    wanted = {name.strip() for name in given.split(',')}
    unknown = wanted - {ALL, *known}
    if unknown:
        raise UsageError(f'--{flag}={given}: unknown name {min(unknown)!r}; known: {ALL}, {", ".join(known)}')
    return [name for name in known if wanted & {ALL, name}]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures the tables, prints them, and returns their rows."""
    arguments.cases = chosen('cases', ','.join(SMOKE_CASES) if arguments.smoke else arguments.cases, CASES)
    names = chosen('tables', arguments.tables, TABLES)
    if 'resnet' in names and not (arguments.smoke or arguments.model):
        raise UsageError('--model=PATH is missing: a trained ResNet at CIFAR-10, such as zoo/resnet20_cifar10.keras')
    make = {'resnet': resnet_rows, 'mobile': mobile_rows, 'applications': application_rows}
    tables = {name: make[name](arguments) for name in names}
    print_tables(tables)
    met = goals(tables)
    for text, is_met in met.items():
        print(common.goal(text, is_met, arguments))
    return {
        'rows': [{'table': name, **row} for name, rows in tables.items() for row in rows],
        'met': [None if arguments.smoke else is_met for is_met in met.values()],
    }


def parser() -> common.Parser:
    result = common.Parser(__doc__.splitlines()[0])
    result.add_model(required=True)
    result.add_argument('--tables', default=ALL, help=f'which, separated by commas: {ALL}, {", ".join(TABLES)}')
    result.add_argument('--cases', default=ALL, help=f'of `resnet`, separated by commas: {ALL}, {", ".join(CASES)}')
    result.add_number('--num_images', 1024, 64, 'training images that are looked at')
    result.add_number('--num_iterations', 2000, 20, 'steps of adaround per layer')
    result.add_number('--max_bytes', 250_000, 30_000, 'of the mixed file')
    result.add_number('--mobile_epochs', 30, 1, 'epochs of the training of the mobile network')
    result.add_number('--size', 64, 32, 'height and width of the images of applications')
    return result


if __name__ == '__main__':
    sys.exit(common.run('post_training', parser(), measure))
