"""Channel pruning of well-known networks: all of `tf_keras.applications`, and a U-Net.

Of each network at a small image size, half of the channels are pruned, and the result is compared with the masked
network, converted to float32 and int8, and run by LiteRT; the multiply-adds of the cost model are compared with those
of TensorFlow's profiler. Uses random weights and images, and batch norm with the statistics of these images, so that
activations have the scale of a trained network; the measured quantities depend little on the weights. Each network has
a process of its own with one thread and a time limit.
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
from pocketflow.scripts.benchmarks.children import Journal, Row, measured
from pocketflow.utils.channels import drop_inputs
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.costs.profiler import profiled_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.reports.report import format_table

PRUNE_RATIO = 0.5
MACS_GOAL = 0.45
TOLERANCE = 1e-4
"""Largest accepted difference of outputs, relative to their range."""
SECONDS_GOAL = 300
"""Of processor time, for one network."""

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


APPLICATIONS = (
    'MobileNetV3Small', 'MobileNet', 'MobileNetV2', 'MobileNetV3Large', 'RegNetX002', 'RegNetY002', 'RegNetX004',
    'RegNetY004', 'RegNetX006', 'RegNetY006', 'RegNetX008', 'RegNetY008', 'EfficientNetB0', 'EfficientNetV2B0',
    'NASNetMobile', 'EfficientNetB1', 'DenseNet121', 'EfficientNetV2B1', 'EfficientNetB2', 'RegNetX016',
    'EfficientNetV2B2', 'RegNetY016', 'EfficientNetB3', 'EfficientNetV2B3', 'DenseNet169', 'RegNetX032',
    'RegNetY032', 'DenseNet201', 'EfficientNetB4', 'RegNetX040', 'RegNetY040', 'EfficientNetV2S', 'Xception',
    'InceptionV3', 'ResNet50', 'ResNet50V2', 'RegNetX064', 'ConvNeXtTiny', 'EfficientNetB5', 'RegNetY064',
    'ResNetRS50', 'VGG16', 'VGG19', 'RegNetX080', 'RegNetY080', 'EfficientNetB6', 'ResNet101', 'ResNet101V2',
    'RegNetX120', 'ConvNeXtSmall', 'RegNetY120', 'RegNetX160', 'EfficientNetV2M', 'InceptionResNetV2', 'ResNet152',
    'ResNet152V2', 'ResNetRS101', 'EfficientNetB7', 'RegNetY160', 'ResNetRS152', 'NASNetLarge', 'ConvNeXtBase',
    'ResNetRS200', 'RegNetX320', 'EfficientNetV2L', 'ResNetRS270', 'RegNetY320', 'ResNetRS350', 'ResNetRS420',
    'ConvNeXtLarge', 'ConvNeXtXLarge',
)  # fmt: skip
"""The networks of `tf_keras.applications`, roughly the smallest first."""
LEAST_SIZES = {'Xception': 71, 'InceptionV3': 75, 'InceptionResNetV2': 75}
"""Height and width of the smallest images that a network takes, where these are larger than 32."""


def _application(name: str, **options: Any) -> Callable[[int], keras.Model]:
    def build(size: int) -> keras.Model:
        size = max(size, LEAST_SIZES.get(name, size))
        shape = (size, size, 3)
        return getattr(keras.applications, name)(weights=None, input_shape=shape, classifier_activation=None, **options)

    return build


NETWORKS: Mapping[str, Callable[[int], keras.Model]] = {
    'UNet': unet,
    **{name: _application(name) for name in APPLICATIONS},
}
SMOKE_NETWORKS: Mapping[str, Callable[[int], keras.Model]] = {'UNet': lambda size: unet(size, filters=8, depth=1)}


def random_images(model: keras.Model, num_images: int) -> np.ndarray:
    """Pixels for a model that begins with a preprocessing layer, values from -1 to 1 for others."""
    is_preprocessing = any(isinstance(layer, (k.Rescaling, k.Normalization)) for layer in model.layers)
    low, high = (0, 255) if is_preprocessing else (-1, 1)
    images = np.random.default_rng(common.SEED).uniform(low, high, (num_images, *model.input_shape[1:]))
    return images.astype(np.float32)


def with_full_scales(model: keras.Model) -> keras.Model:
    """The model with 1 in place of 1e-6 in ConvNeXt's layer scales, which would hide all differences of its blocks."""
    for layer in model.layers:
        if type(layer).__name__ == 'LayerScale':
            layer.gamma.assign(np.ones(layer.gamma.shape))
    return model


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


def difference(outputs: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of outputs, relative to the range of what is expected."""
    return float(np.abs(outputs - expected).max() / max(np.ptp(expected), np.finfo(np.float32).tiny))


def measure_network(name: str, model: keras.Model, images: np.ndarray, arguments: argparse.Namespace) -> Row:
    """One row of the table."""
    begin = time.process_time()
    result, seconds = pruned(model, images)
    few, macs = images[:4], total_macs(model)
    masked = drop_inputs(result.refitted, result.kept)(few, training=False).numpy()
    outputs = result.model(few, training=False).numpy()
    files = {name: convert(result.model, name, images) for name in ('float32', 'int8')}
    exported, quantized = (np.asarray(LiteRtRunner(files[name]).predict(few, 1)) for name in files)
    row = {
        'network': name,
        'size': images.shape[1],
        'macs': macs,
        'macs_left': round(total_macs(result.model) / macs, 4),
        'macs_by_profiler': profiled_macs(model),
        'parameters': total_parameters(model),
        'parameters_left': round(total_parameters(result.model) / total_parameters(model), 4),
        'difference': difference(outputs, masked),
        'export_difference': difference(exported, outputs),
        'int8_difference': difference(quantized, outputs),
        'selects': sum(isinstance(layer, ChannelSelect) for layer in result.model.layers),
        'pruning_seconds': round(seconds, 1),
        'processor_seconds': round(time.process_time() - begin, 1),
    }
    if arguments.speed:
        row |= speed(convert(model, 'float32'), files['float32'], images[0], arguments.smoke)
    return {**row, 'why': why(result) if row['macs_left'] > MACS_GOAL else ''}


def speed(before: bytes, after: bytes, image: np.ndarray, smoke: bool) -> Row:
    """Sizes of the float32 files of the original and of the pruned network, and the ratio of their durations."""
    times = common.milliseconds({'before': before, 'after': after}, image, 1, smoke)
    return {
        'bytes_before': len(before),
        'bytes_after': len(after),
        'speedup': round(times['before'] / times['after'], 4),
    }


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
    names = arguments.only.split(',') if arguments.only else list(networks)
    unknown = next((name for name in names if name not in networks), None)
    if unknown is not None:
        raise UsageError(f'--only: there is no network {unknown!r}; choose among {", ".join(networks)}')
    settings = {'size': arguments.size, 'images': arguments.images, 'speed': arguments.speed}
    if arguments.smoke or arguments.alone:
        rows = [_measured_here(name, networks[name], arguments) for name in names]
    else:
        journal = Journal(arguments.journal, settings)
        rows = [_in_a_child(name, journal, arguments) for name in names]
    _show(rows, arguments)
    return {'prune_ratio': PRUNE_RATIO, **settings, 'rows': rows}


def _measured_here(name: str, build: Callable[[int], keras.Model], arguments: argparse.Namespace) -> Row:
    common.say(f'pruning {name}')
    model = with_full_scales(build(arguments.size))
    images = random_images(model, arguments.images)
    row = measure_network(name, calibrated(model, images), images, arguments)
    common.say(str(row))
    keras.backend.clear_session()
    gc.collect()
    return row


def _in_a_child(name: str, journal: Journal, arguments: argparse.Namespace) -> Row:
    """The result of a network: that of the journal, or of a child process."""
    if 'failed' in journal.rows.get(name, {'failed': 'not measured'}):
        flags = [f'--{flag}={value}' for flag, value in (('size', arguments.size), ('images', arguments.images))]
        flags += ['--speed'] if arguments.speed else []
        command = [sys.executable, __file__, '--alone', f'--only={name}', *flags]
        journal.add({'network': name, **measured(command, arguments.limit)})
        common.say(str(journal.rows[name]))
    return journal.rows[name]


GOALS: Mapping[str, Callable[[Row], bool]] = {
    f'MACs left <= {MACS_GOAL:g}, or a reason': lambda row: row['macs_left'] <= MACS_GOAL or row['why'] != '',
    'MACs and parameters fall': lambda row: row['macs_left'] < 1 and row['parameters_left'] < 1,
    f'pruned as masked, within {TOLERANCE:g} of the range': lambda row: row['difference'] <= TOLERANCE,
    f'float32 file as Keras, within {TOLERANCE:g} of the range': lambda row: row['export_difference'] <= TOLERANCE,
    'int8 file runs': lambda row: bool(np.isfinite(row['int8_difference'])),
    "MACs as TensorFlow's profiler": lambda row: row['macs_by_profiler'] == row['macs'],
    f'at most {SECONDS_GOAL} s of processor time': lambda row: row['processor_seconds'] <= SECONDS_GOAL,
    'float32 file faster': lambda row: row.get('speedup', 2.0) > 1,
}


def _show(rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    complete = [row for row in rows if 'failed' not in row]
    header = [
        f'prune ratio {PRUNE_RATIO}',
        'size',
        'million MACs',
        'MACs left',
        'parameters left',
        'pruned/masked',
        'float32/Keras',
        'int8/Keras',
        'selects',
        'processor s',
        'why',
    ]
    speeds = ('smaller', 'faster') if arguments.speed else ()
    print(format_table([(*header, *speeds), *(_cells(row, arguments.speed) for row in complete)]))
    for row in rows:
        if 'failed' in row:
            print(f'FAILED: {row["network"]} after {row["processor_seconds"]:.0f} s of processor time: {row["failed"]}')
    for text, is_met in GOALS.items():
        missed = [row['network'] for row in complete if not is_met(row)]
        print(common.goal(text, not missed, arguments), *missed)
    passed = [row for row in complete if all(is_met(row) for is_met in GOALS.values())]
    print(f'{len(passed)} of {len(rows)} networks')


def _cells(row: Row, with_speed: bool) -> tuple[str, ...]:
    speeds = (f'{row["bytes_before"] / row["bytes_after"]:.2f}x', f'{row["speedup"]:.2f}x') if with_speed else ()
    return (
        row['network'],
        str(row['size']),
        f'{row["macs"] / 1e6:,.0f}',
        f'{row["macs_left"]:.1%}',
        f'{row["parameters_left"]:.1%}',
        f'{row["difference"]:.0e}',
        f'{row["export_difference"]:.0e}',
        f'{row["int8_difference"]:.0e}',
        str(row['selects']),
        f'{row["processor_seconds"]:.0f}',
        row['why'],
        *speeds,
    )


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_argument('--only', metavar='NAME,NAME', help=f'among {", ".join(NETWORKS)}; default: all')
    parser.add_number('--images', 10, 8, 'random images for the selection and the re-fit')
    parser.add_number('--size', 32, 32, 'height and width of the images, for networks that take so small ones')
    parser.add_number(
        '--limit', SECONDS_GOAL, SECONDS_GOAL, 'seconds of processor time after which a network is given up'
    )
    parser.add_argument(
        '--journal', metavar='FILE', help='append each result to FILE; networks with a result there are not repeated'
    )
    parser.add_argument('--speed', action='store_true', help='also time the float32 files of both networks')
    parser.add_argument('--alone', action='store_true', help='in this process, without a time limit')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('network_coverage', make_parser(), measure))
