"""Samples inputs and target outputs of layers, and accumulates their equations.

Inputs come from the model pruned so far, targets from the full model, so that a layer also compensates for errors of
the layers before it. Output positions are drawn at random; their windows are cut out of the padded input.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.equations import (
    NormalEquations,
    SampledRows,
    SplitEquations,
    equation_bytes,
    is_kept_as_rows,
)
from pocketflow.learners.channel_pruning.layerwise import LayerwiseRun, Place
from pocketflow.learners.channel_pruning.linear_forms import (
    LinearForm,
    draw_places,
    known_linear_form,
    known_places,
    values_at,
)
from pocketflow.learners.channel_pruning.streaming import StreamedRun, chunks
from pocketflow.utils.channels.identities import ChannelGraph, Step, trace
from pocketflow.utils.system.memory import available_bytes
from pocketflow.utils.tasks.nests import Nest, num_samples, take

BATCH_SIZE = 250
"""Number of consecutive images with the same sampled positions."""
CHUNK_BYTES = 2**28
"""Bytes of feature maps per chunk. A constant, not a property of the machine, because it affects rounding."""
PEAK = 3
"""Memory of a running layer, as a multiple of the feature maps at its input."""
MAPS_SHARE = 0.6
"""Share of the memory left by the equations that is used for feature maps between layers."""
HELD_OUT = 5
"""One of this many images is held out of the fitting."""


class LayerSampler:
    """Computes the equations of the layers of a model, in the order of execution.

    The full and the pruned model are run together, chunk by chunk.

    Args:
      full: the unpruned model.
      pruned: a copy of it; its weights of a layer must be final before the equations of a later layer are requested.
        Or the unpruned model itself.
      layers: names of the layers, in the order of execution; each has a linear form.
      images: float32 `[N, height, width, channels]`; several inputs are a dict or tuple of arrays.
      num_positions: output positions per image and layer.
      rng: draws the positions.
      max_bytes: limit for feature maps that are kept between layers; others are recomputed. By default it depends on
        the available memory.
    """

    def __init__(
        self,
        full: keras.Model,
        pruned: keras.Model,
        layers: Sequence[str],
        images: Nest,
        num_positions: int,
        rng: np.random.Generator,
        max_bytes: int | None = None,
    ):
        graph, num_images = trace(full), num_samples(images)
        self._partners = residual_partners(graph)
        self._full_forms, self._forms = (
            {name: known_linear_form(model.get_layer(name)) for name in layers} for model in (full, pruned)
        )
        self._is_held_out, self._is_new = held_out_images(images)
        shapes, image_bytes = input_shapes(graph, layers, take(images, slice(1)))
        sizes = {name: form.output_size(shapes[name]) for name, form in self._forms.items()}
        self._rows_per_image = {name: num_rows(shapes[name], sizes[name], num_positions) for name in layers}
        self._places = [
            {name: draw_places(rng, sizes[name], num_positions) for name in layers}
            for _ in range(0, num_images, BATCH_SIZE)
        ]
        self._chunks = chunks(num_images, BATCH_SIZE, PEAK * image_bytes, CHUNK_BYTES)
        if max_bytes is None:
            taken = max(
                equation_bytes(form.shape, self._rows_per_image[name] * num_images)
                for name, form in self._forms.items()
            )
            max_bytes = room_for_maps(taken)
        # Two names of one model: it is run once, since a run continues where the other has stopped.
        self._runs = [StreamedRun(graph, images, self._chunks, max_bytes // 2)]
        self._runs += self._runs if pruned is full else [StreamedRun(pruned, images, self._chunks, max_bytes // 2)]

    def equations(self, layer: str) -> SplitEquations:
        """The equations of a layer on sampled positions, for the images to fit on and for the held-out images.

        The target is the layer's output in the full model, without bias and activation. For the last operand of an
        addition, the errors of the other operands are added, so that the layer also compensates for these (He et al.
        2017, section 3.3, last layer of a residual branch).
        """
        rows_per_image, num_distinct = self._rows_per_image[layer], 0
        fitting, held_out = (sum_for(self._forms[layer], rows_per_image * len(self._is_new)) for _ in range(2))
        for chunk, full, pruned in zip(self._chunks, *(run.until(layer) for run in self._runs), strict=True):
            places = self._places[chunk.start // BATCH_SIZE][layer]
            patches, targets = self._sample(layer, full, pruned, places)
            rows = np.repeat(self._is_held_out[chunk], rows_per_image)
            held_out.add(patches[rows], targets[rows])
            fitting.add(patches[~rows], targets[~rows])
            distinct_rows = rows_per_image if places is None else len(np.unique(places, axis=0))
            num_distinct += distinct_rows * int(np.count_nonzero(self._is_new[chunk] & ~self._is_held_out[chunk]))
        return SplitEquations(fitting.equations(), held_out.equations(), num_distinct)

    def _sample(
        self, layer: str, full: LayerwiseRun, pruned: LayerwiseRun, places: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Patches `[rows, features]` of a layer of the pruned model, and its targets `[rows, outputs]`."""
        form = self._full_forms[layer]
        targets = tf.matmul(form.patches(full.input_of(layer)[0], places), tf.cast(form.weights(), tf.float32))
        for partner in self._partners.get(layer, ()):
            targets += values_at(full.value_at(partner)[0], known_places(places))
            targets -= values_at(pruned.value_at(partner)[0], known_places(places))
        return self._forms[layer].patches(pruned.input_of(layer)[0], places).numpy(), targets.numpy()


def room_for_maps(taken: int) -> int:
    """Limit in bytes for feature maps between layers, besides `taken` bytes of equations."""
    available = available_bytes()
    return sys.maxsize if available is None else max(0, int(MAPS_SHARE * (available - taken)))


class _NormalSum:
    """Accumulates normal equations of batches of rows."""

    def __init__(self, num_features: int, num_outputs: int):
        self._gram, self._cross = np.zeros((num_features, num_features)), np.zeros((num_features, num_outputs))
        self._energy, self._num_rows = 0.0, 0

    def add(self, patches: np.ndarray, targets: np.ndarray) -> None:
        patches, targets = patches.astype(np.float64), targets.astype(np.float64)
        self._gram += patches.T @ patches
        self._cross += patches.T @ targets
        self._energy += float(np.sum(np.square(targets)))
        self._num_rows += len(targets)

    def equations(self) -> NormalEquations:
        return NormalEquations(self._gram, self._cross, self._energy, self._num_rows)


class _Rows:
    """Collects batches of rows."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, patches: np.ndarray, targets: np.ndarray) -> None:
        self._parts.append((patches, targets))

    def equations(self) -> SampledRows:
        patches, targets = zip(*self._parts, strict=True)
        return SampledRows(np.concatenate(patches), np.concatenate(targets))


def sum_for(form: LinearForm, num_rows: int) -> _NormalSum | _Rows:
    """The accumulator for the rows of a layer, of the form that needs less memory."""
    return _Rows() if is_kept_as_rows(form.shape[0], num_rows) else _NormalSum(*form.shape)


def num_rows(inputs: Sequence[int], size: np.ndarray | None, num_positions: int) -> int:
    """Sampled rows per image.

    Args:
      inputs: shape of the layer's input, `[batch, ..., channels]`.
      size: output (height, width); None for a layer without positions.
      num_positions: number of positions to draw.
    """
    return int(np.prod(inputs[1:-1])) if size is None else int(min(np.prod(size), num_positions))


def held_out_images(images: Nest) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the held-out images and of the first occurrences of distinct images, bool `[N]` each.

    Equal images are in the same split. If all images are equal, all are held out.
    """
    kinds: dict[bytes, int] = {}
    digests = (
        hashlib.sha256(b''.join(array.tobytes() for array in sample)).digest()
        for sample in zip(*tf.nest.flatten(images), strict=True)
    )
    kind_of = np.array([kinds.setdefault(digest, len(kinds)) for digest in digests])
    is_new = np.zeros(len(kind_of), bool)
    is_new[np.unique(kind_of, return_index=True)[1]] = True
    return kind_of % HELD_OUT == min(len(kinds), HELD_OUT) - 1, is_new


def input_shapes(
    model: keras.Model | ChannelGraph, layers: Iterable[str], image: Nest
) -> tuple[dict[str, tuple[int, ...]], int]:
    """Input shapes of layers for one image, and the greatest size in bytes of the tensors kept between two calls."""
    run, shapes = LayerwiseRun(model, [image]), {}
    for name in layers:
        run.run_until(name)
        shapes[name] = tuple(run.input_of(name)[0].shape)
    return shapes, run.most_bytes


def residual_partners(model: keras.Model | ChannelGraph) -> dict[str, tuple[Place, ...]]:
    """Convolution that is the last operand of an addition -> the other operands.

    Only convolutions without activation, whose output is not used elsewhere, and that run after all other operands.
    """
    steps = trace(model).steps
    places = {key: (index, number) for index, step in enumerate(steps) for number, key in enumerate(step.outputs)}
    readers = [key for step in steps for key in step.inputs]
    partners = {}
    for addition in (step for step in steps if type(step.layer) is keras.layers.Add):
        *others, (last, _) = sorted(places[key] for key in addition.inputs)
        if _is_plain_convolution(steps[last]) and readers.count(steps[last].outputs[0]) == 1:
            partners[steps[last].layer.name] = tuple(others)
    return partners


def _is_plain_convolution(step: Step) -> bool:
    return type(step.layer) is keras.layers.Conv2D and step.layer.activation is keras.activations.linear
