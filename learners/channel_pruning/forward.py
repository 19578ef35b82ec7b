"""Runs a whole model over batches of images, with all tensors between its layers, for criteria that look at them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import tensorflow as tf

from pocketflow.learners.channel_pruning.contributions import images_at_once
from pocketflow.learners.channel_pruning.layerwise import called
from pocketflow.utils.channels.identities import ChannelGraph
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.system import interrupts
from pocketflow.utils.tasks.nests import Nest, num_samples, take


@dataclasses.dataclass(frozen=True)
class Forward:
    """The tensors of one pass.

    Attributes:
      values: key of a tensor -> its value.
      inputs: reader -> its input: a tensor of its own, so that the gradient with respect to it is that through this
        reader alone, although other layers read the same channels.
      outputs: what the model returns.
    """

    values: Mapping[int, tf.Tensor]
    inputs: Mapping[str, tf.Tensor]
    outputs: Any


def forward(
    graph: ChannelGraph,
    batch: Nest,
    readers: Collection[str] = (),
    watch: Callable[[tf.Tensor], None] = lambda tensor: None,
) -> Forward:
    """Runs a model in inference mode.

    Args:
      graph: of the model.
      batch: its inputs, float32 `[batch, ...]`.
      readers: layers with one input, for `Forward.inputs`.
      watch: called with each of `Forward.inputs` before its layer is run: `watch` of a gradient tape.
    """
    keys = {step.layer.name: step.outputs[0] for step in graph.steps if step.node.is_input}
    arrays = inputs_in_order(graph.model, batch)
    values = {keys[name]: tf.constant(array) for name, array in zip(graph.model.input_names, arrays, strict=True)}
    inputs: dict[str, tf.Tensor] = {}
    for step in graph.steps:
        interrupts.check()
        if step.node.is_input:
            continue
        feed = {key: values[key] for key in step.inputs}
        if step.layer.name in readers:
            own = inputs[step.layer.name] = feed[step.inputs[0]] = tf.identity(feed[step.inputs[0]])
            watch(own)
        values.update(zip(step.outputs, called(step, feed), strict=True))
    results = [values[id(tensor)] for tensor in graph.model.outputs]
    return Forward(values, inputs, tf.nest.pack_sequence_as(graph.model.output, results))


def parts(graph: ChannelGraph, images: Nest, copies: int = 2) -> Iterator[slice]:
    """Consecutive slices of the images, small enough that all tensors of a pass fit into memory.

    Args:
      graph: of the model.
      images: its inputs, `[N, ...]`.
      copies: how often the tensors are in memory at once.
    """
    values = forward(graph, take(images, slice(1))).values
    image_bytes = sum(int(tf.size(value)) * value.dtype.size for value in values.values())
    length, total = images_at_once(copies * image_bytes), num_samples(images)
    for begin in range(0, total, length):
        yield slice(begin, min(begin + length, total))
