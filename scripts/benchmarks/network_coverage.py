"""Channel pruning of well-known networks: multiply-adds, parameters, bytes and speed of the float32 file.

Uses random weights and images, and batch norm with the statistics of these images, so that activations have the scale
of a trained network; the measured quantities depend little on the weights.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.pruning import Pruned, prune_channels
from pocketflow.utils.channels import drop_inputs
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.reports.report import format_table

PRUNE_RATIO = 0.5
MACS_GOAL = 0.45
TOLERANCE = 1e-3
"""Largest accepted difference of the pruned and the masked network, relative to the range of the outputs."""

k = keras.layers


def unet(size: int, filters: int = 32, depth: int = 4) -> keras.Model:
    """A U-Net (Ronneberger et al. 2015) with batch norm, transposed convolutions and two classes per pixel."""

    def block(x, filters: int):
        for _ in range(2):
            x = k.ReLU()(k.BatchNormalization()(k.Conv2D(filters, 3, padding='same', use_bias=False)(x)))
        return x

    inputs = keras.Input((size, size, 3))
    x, passed = inputs, []
    for level in range(depth):
        passed.append(block(x, filters * 2**level))
        x = k.MaxPooling2D()(passed[-1])
    x = block(x, filters * 2**depth)
    for level in reversed(range(depth)):
        x = k.Conv2DTranspose(filters * 2**level, 2, strides=2)(x)
        x = block(k.Concatenate()([x, passed[level]]), filters * 2**level)
    return keras.Model(inputs, k.Conv2D(2, 1, name='classes')(x), name='unet')


def _application(name: str, **options: Any) -> Callable[[int], keras.Model]:
    make = getattr(keras.applications, name)
    return lambda size: make(weights=None, input_shape=(size, size, 3), **options)


NETWORKS: Mapping[str, Callable[[int], keras.Model]] = {
    'resnet50': _application('ResNet50'),
    'resnet50v2': _application('ResNet50V2'),
    'mobilenet_v1': _application('MobileNet'),
    'mobilenet_v2': _application('MobileNetV2'),
    'mobilenet_v3_small': _application('MobileNetV3Small'),
    'efficientnet_b0': _application('EfficientNetB0'),
    'densenet121': _application('DenseNet121'),
    'inception_v3': _application('InceptionV3'),
    'xception': _application('Xception'),
    'vgg16': _application('VGG16'),
    'unet': unet,
}
SMOKE_NETWORKS: Mapping[str, Callable[[int], keras.Model]] = {'unet': lambda size: unet(size, filters=8, depth=1)}


def calibrated(model: keras.Model, images: np.ndarray) -> keras.Model:
    """The model with the statistics of some images in its batch norm layers, which scale the activations."""
    norms = [layer for layer in model.layers if isinstance(layer, k.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return model


def pruned(model: keras.Model, images: np.ndarray) -> tuple[Pruned, float]:
    """The pruned network before fine-tuning, and the seconds of the pruning."""
    begin = time.perf_counter()
    result = prune_channels(model, images, PRUNE_RATIO, seed=common.SEED)
    return result, time.perf_counter() - begin


def difference(result: Pruned, images: np.ndarray) -> float:
    """Largest difference of the outputs of the pruned and the masked network, relative to the range of outputs."""
    masked = drop_inputs(result.refitted, result.kept)
    expected, outputs = (model(images, training=False).numpy() for model in (masked, result.model))
    return float(np.abs(outputs - expected).max() / max(np.ptp(expected), np.finfo(np.float32).tiny))


def measure_network(name: str, model: keras.Model, images: np.ndarray, smoke: bool) -> dict[str, Any]:
    """One row of the table."""
    result, seconds = pruned(model, images)
    files = {'before': convert(model, 'float32'), 'after': convert(result.model, 'float32')}
    times = common.milliseconds(files, images[0], 1, smoke)
    row = {
        'network': name,
        'macs_left': total_macs(result.model) / total_macs(model),
        'parameters_left': total_parameters(result.model) / total_parameters(model),
        'bytes_before': len(files['before']),
        'bytes_after': len(files['after']),
        'speedup': times['before'] / times['after'],
        'difference': difference(result, images[:4]),
        'selects': sum(isinstance(layer, ChannelSelect) for layer in result.model.layers),
        'seconds': seconds,
    }
    row = {
        key: round(value, 4) if isinstance(value, float) and key != 'difference' else value
        for key, value in row.items()
    }
    return {**row, 'why': why(result) if row['macs_left'] > MACS_GOAL else ''}


def why(result: Pruned) -> str:
    """The numbers of layers that keep all their inputs, by reason."""
    reasons = sorted(set(result.notes.values()))
    return (
        '; '.join(
            f'{sum(note == reason for note in result.notes.values())} of {len(result.kept)} layers keep all '
            f'inputs: {reason}'
            for reason in reasons
        )
        or 'selections'
    )


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    networks = SMOKE_NETWORKS if arguments.smoke else NETWORKS
    names = arguments.networks.split(',') if arguments.networks else list(networks)
    unknown = next((name for name in names if name not in networks), None)
    if unknown is not None:
        raise UsageError(f'--networks: there is no network {unknown!r}; choose among {", ".join(networks)}')
    shape = (arguments.images, arguments.size, arguments.size, 3)
    images = np.random.default_rng(common.SEED).uniform(-1, 1, shape).astype(np.float32)
    rows = []
    for name in names:
        common.say(f'pruning {name}')
        model = calibrated(networks[name](arguments.size), images)
        rows.append(measure_network(name, model, images, arguments.smoke))
        common.say(str(rows[-1]))
        keras.backend.clear_session()
        gc.collect()
    _show(rows, arguments)
    return {'prune_ratio': PRUNE_RATIO, 'size': arguments.size, 'images': arguments.images, 'rows': rows}


def _show(rows: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> None:
    header = (
        f'{arguments.size}x{arguments.size}, prune ratio {PRUNE_RATIO}',
        'MACs left',
        'parameters left',
        'bytes',
        'smaller',
        'faster',
        'max difference',
        'selects',
        'seconds',
        'why',
    )
    print(format_table([header, *(_cells(row) for row in rows)]))
    goals = {
        f'MACs left <= {MACS_GOAL:g}, or a reason': all(row['macs_left'] <= MACS_GOAL or row['why'] for row in rows),
        'no network grows': all(row['macs_left'] <= 1 and row['bytes_after'] <= row['bytes_before'] for row in rows),
        'float32 file faster': all(row['speedup'] > 1 for row in rows),
        f'pruned as masked, within {TOLERANCE:g} of the range': all(row['difference'] <= TOLERANCE for row in rows),
    }
    for text, is_met in goals.items():
        print(common.goal(text, is_met, arguments))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row['network'],
        f'{row["macs_left"]:.1%}',
        f'{row["parameters_left"]:.1%}',
        f'{row["bytes_before"]:,} -> {row["bytes_after"]:,}',
        f'{row["bytes_before"] / row["bytes_after"]:.2f}x',
        f'{row["speedup"]:.2f}x',
        f'{row["difference"]:.1e}',
        str(row['selects']),
        f'{row["seconds"]:.0f}',
        row['why'],
    )


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_argument('--networks', metavar='NAME,NAME', help=f'among {", ".join(NETWORKS)}; default: all')
    parser.add_number('--images', 40, 8, 'random images for the selection and the re-fit')
    parser.add_number('--size', 96, 32, 'height and width of the images')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('network_coverage', make_parser(), measure))
