"""Speed of channel selects as 1x1 convolutions, compared with gathers and with a network without selects.

If two consumers of a tensor keep different channels, pruning inserts a `ChannelSelect` before one of them. Three
implementations with equal outputs are timed: the layer, `tf.gather` in its place, and no selects, where every consumer
reads all remaining channels of its input, with zero weights for those that it dropped.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import functools
import operator
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect, drop_inputs, remove_channels, trace
from pocketflow.utils.channels.placement import channels_left
from pocketflow.utils.channels.readers import first_seen, kept_identities
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.operators import operators
from pocketflow.utils.reports.report import format_table

PRUNE_RATIO = 0.5
FORMATS = ('float32', 'int8')
TOLERANCE = 1e-4

Kept = dict[str, tuple[int, ...]]


@keras.saving.register_keras_serializable(package='PocketFlowBenchmark')
class GatherSelect(ChannelSelect):
    """The same selection by a gather."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.gather(inputs, self.indices, axis=-1)


def with_gathers(model: keras.Model) -> keras.Model:
    """A copy of a model with gathers as channel selects."""

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = GatherSelect if isinstance(layer, ChannelSelect) else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def unions(model: keras.Model, kept: Mapping[str, Sequence[int]]) -> Kept:
    """All input channels of each consumer that remain in the network of `remove_channels(model, kept)`."""
    graph = trace(model)
    alive = channels_left(graph, kept_identities(graph, kept))
    left = functools.reduce(operator.or_, alive.stored.values())
    return {
        step.layer.name: tuple(
            channel
            for channel, identity in enumerate(first_seen(graph.classes[step.inputs[0]]))
            if left >> int(identity) & 1
        )
        for step in graph.steps
        if step.reads and alive.is_alive(step)
    }


def variants(model: keras.Model, kept: Kept) -> dict[str, keras.Model]:
    """The uncompressed model and the three pruned variants, by name."""
    pruned = remove_channels(model, kept)
    return {
        'unpruned': model,
        'convolution': pruned,
        'gather': with_gathers(pruned),
        'none': remove_channels(drop_inputs(model, kept), unions(model, kept)),
    }


def check_equal(models: Mapping[str, keras.Model], images: np.ndarray) -> None:
    """Checks that the compared networks have equal outputs.

    Raises:
      PocketFlowError: the outputs differ, or the network without selects has some.
    """
    if _num_selects(models['none']):
        raise PocketFlowError(f'{_num_selects(models["none"])} channel selects are left in the network without selects')
    expected = models['convolution'](images).numpy()
    for name in ('gather', 'none'):
        difference = np.abs(models[name](images).numpy() - expected).max() / np.ptp(expected)
        if difference > TOLERANCE:
            raise PocketFlowError(
                f'the network with selects by {name} is not equivalent: its outputs differ by '
                f'{difference:.2g} of their range, accepted: {TOLERANCE:g}'
            )


def _num_selects(model: keras.Model) -> int:
    return sum(isinstance(layer, ChannelSelect) for layer in model.layers)


def describe(
    name: str, models: Mapping[str, keras.Model], files: Mapping[Any, bytes], times: Mapping[Any, float]
) -> dict[str, Any]:
    """One row: cost, operations, and time per call relative to the layer."""
    row = {
        'variant': name,
        'macs_left': round(total_macs(models[name]) / total_macs(models['unpruned']), 4),
        'selects': _num_selects(models[name]),
    }
    for file_format in FORMATS:
        key = file_format, name
        row |= {
            f'operations_{file_format}': operators(files[key]).total(),
            f'ms_{file_format}': round(times[key], 4),
            f'time_{file_format}': round(times[key] / times[file_format, 'convolution'], 4),
        }
    return row


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    model, images = common.network_and_images(arguments)
    models = variants(model, common.norm_plan(model, PRUNE_RATIO))
    check_equal(models, images)
    files = {}
    for name, variant in models.items():
        common.say(f'exporting {name}')
        files |= {(file_format, name): convert(variant, file_format, images) for file_format in FORMATS}
    times = common.milliseconds(files, images[0], 1, arguments.smoke)
    rows = [describe(name, models, files, times) for name in models]
    _show(model, rows)
    return {
        'model': model.name,
        'trained': bool(arguments.model),
        'prune_ratio': PRUNE_RATIO,
        'rows': rows,
        **{
            f'{name}_over_convolution_{file_format}': row[f'time_{file_format}']
            for name, row in zip(models, rows, strict=True)
            if name in ('gather', 'none')
            for file_format in FORMATS
        },
    }


def _show(model: keras.Model, rows: Sequence[Mapping[str, Any]]) -> None:
    labels = {
        'unpruned': 'unpruned',
        'convolution': 'selects as 1x1 convolutions',
        'gather': 'selects as gathers',
        'none': 'no selects, zero weights',
    }
    header = [f'{model.name}, prune ratio {PRUNE_RATIO}', 'MACs left', 'selects']
    for file_format in FORMATS:
        header += [f'operations {file_format}', 'ms', 'relative']
    lines = [[labels[row['variant']], f'{row["macs_left"]:.1%}', str(row['selects'])] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        for name in FORMATS:
            line += [str(row[f'operations_{name}']), f'{row[f"ms_{name}"]:.3f}', f'{row[f"time_{name}"]:.2f}']
    print(format_table([header, *lines]))
    print('ms: median of one call with one thread; relative: to selects as 1x1 convolutions')


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_model()
    return parser


if __name__ == '__main__':
    sys.exit(common.run('channel_select', make_parser(), measure))
