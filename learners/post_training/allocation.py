"""Mixed precision: the widths with the least sum of measured errors whose file is within a number of bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.hp_optimizer.integer_program import Term, least_loss
from pocketflow.learners.post_training.rounding import rounded_nearest
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.quantization.int8.placement import KERNELS
from pocketflow.utils.system import interrupts
from pocketflow.utils.tasks.nests import Nest, in_batches, take

WIDTHS = (8, 4)
NUM_IMAGES = 256
BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Sensitivities:
    """Relative errors of the network's outputs if one layer is rounded: layer -> an error for each of `WIDTHS`."""

    errors: Mapping[str, tuple[float, ...]]


def relative_error(made: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """The mean over the outputs of: mean squared difference / variance. It needs no labels and no metric.

    >>> relative_error([np.array([1.0, 0.0])], [np.array([0.0, 2.0])])
    2.5
    """
    shares = [
        np.mean((one - other) ** 2) / max(float(np.var(other)), 1e-12) for one, other in zip(made, wanted, strict=True)
    ]
    return float(np.mean(shares))


def measured(plain: keras.Model, names: Sequence[str], images: Nest) -> Sensitivities:
    """Rounds one layer at a time to the nearest, and measures the error of the outputs.

    Args:
      plain: the model of linear layers; it has its weights again afterwards.
      names: the layers.
      images: inputs `[N, ...]`, of which the first `NUM_IMAGES` are used.
    """
    batches = [*in_batches(inputs_in_order(plain, take(images, slice(NUM_IMAGES))), BATCH_SIZE)]

    @tf.function(reduce_retracing=True)
    def compute(batch: list[tf.Tensor]) -> list[tf.Tensor]:
        return tf.nest.flatten(plain(tf.nest.pack_sequence_as(plain.input, batch), training=False))

    def outputs() -> list[np.ndarray]:
        return [
            np.concatenate(parts) for parts in zip(*([t.numpy() for t in compute(b)] for b in batches), strict=True)
        ]

    wanted, errors = outputs(), {}
    for name in names:
        layer = plain.get_layer(name)
        kernel = getattr(layer, KERNELS[type(layer)])
        own, found = kernel.numpy(), []
        for bits in WIDTHS:
            interrupts.check()
            kernel.assign(rounded_nearest(layer, bits))
            found.append(relative_error(outputs(), wanted))
            kernel.assign(own)
        errors[name] = tuple(found)
    return Sensitivities(errors)


def kernel_bytes(num_weights: int, bits: int) -> int:
    """Bytes of a kernel in the file, two weights of 4 bits in a byte.

    >>> kernel_bytes(9, 8), kernel_bytes(9, 4)
    (9, 5)
    """
    return num_weights if bits > 4 else -(-num_weights // 2)


def check_budget(plain: keras.Model, names: Sequence[str], max_bytes: int) -> None:
    """Raises a `UsageError` if the weights alone, with 4 bits where that is possible, take more than `max_bytes`."""
    least = sum(kernel_bytes(size, WIDTHS[-1] if name in names else WIDTHS[0]) for name, size in _sizes(plain).items())
    if least > max_bytes:
        raise UsageError(
            f'at most {max_bytes} bytes: out of reach, the weights of model {plain.name!r} alone take {least} with '
            f'{WIDTHS[-1]} bits; allow more, or compress it by another learner first'
        )


def widths_within(
    plain: keras.Model, sensitivities: Sensitivities, make_simulation: Callable[[], keras.Model], max_bytes: int
) -> dict[str, int]:
    """Layer -> its width, with the least sum of errors such that the file has at most `max_bytes`.

    Args:
      plain: the model of linear layers.
      sensitivities: of the layers that may have 4 bits.
      make_simulation: returns the model with 8 bits in all layers, whose file is written once to learn its size.
      max_bytes: of the file.

    Raises:
      UsageError: the budget is out of reach.
    """
    sizes = _sizes(plain)
    whole = len(convert(make_simulation(), 'int8'))
    terms = [Term((), np.array(float(whole - sum(sizes[name] for name in sensitivities.errors))))]
    terms += [
        Term((name,), np.array([float(kernel_bytes(sizes[name], bits)) for bits in WIDTHS]))
        for name in sensitivities.errors
    ]
    losses = {name: np.array(errors) for name, errors in sensitivities.errors.items()}
    levels = least_loss(losses, terms, float(max_bytes))
    if levels is None:
        least = whole - sum(sizes[name] - kernel_bytes(sizes[name], WIDTHS[-1]) for name in losses)
        raise UsageError(
            f'at most {max_bytes} bytes: out of reach, the file of model {plain.name!r} takes {least} with '
            f'{WIDTHS[-1]} bits; allow more, or compress it by another learner first'
        )
    return {name: WIDTHS[level] for name, level in levels.items()}


def _sizes(plain: keras.Model) -> dict[str, int]:
    """Layer -> number of weights of its kernel."""
    return {
        layer.name: int(np.prod(getattr(layer, KERNELS[type(layer)]).shape))
        for layer in plain.layers
        if type(layer) in KERNELS
    }
