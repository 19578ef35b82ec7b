"""Python interface of magnitude pruning: functions of models, without flags or run directories."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.weight_sparsification import protocols
from pocketflow.learners.weight_sparsification.masks import apply_mask, magnitude_mask, num_zeros
from pocketflow.learners.weight_sparsification.selection import kernels_of, prunable_layers, skip_reasons
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import copied
from pocketflow.utils.graph.arguments import check_choice, check_layers, check_share, flat_model

PROTOCOLS = ('uniform', 'heurist')
Masks = Mapping[str, tuple[tf.Tensor, ...]]
"""Layer -> masks of its kernels (two in a separable convolution), bool of the kernel's shape, False for zeros."""


class KeepZeros(keras.callbacks.Callback):
    """Sets masked weights to zero again after each batch of `fit`.

    Args:
      masks: masks of the trained model.
    """

    def __init__(self, masks: Masks):
        super().__init__()
        self._masks = masks

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for name, masks in self._masks.items():
            for kernel, mask in zip(kernels_of(self.model.get_layer(name)), masks, strict=True):
                apply_mask(kernel, mask)


@dataclasses.dataclass(frozen=True)
class Sparsified:
    """A sparse model, its masks and its plan.

    Attributes:
      model: a copy with the same layers and shapes, and zeros; a functional model, not compiled.
      masks: layer -> masks of its kernels, bool of the kernel's shape, False for zeros.
      plan: of the kind 'sparsity': layer -> the share of zeros in its kernels.
    """

    model: keras.Model
    masks: Masks
    plan: CompressionPlan

    def keep_zeros(self) -> KeepZeros:
        """A callback for `model.fit(..., callbacks=[...])`, which keeps the zeros in training."""
        return KeepZeros(self.masks)


def sparsify(
    model: keras.Model,
    ratio: float | Mapping[str, float] = 0.75,
    protocol: str = 'uniform',
    *,
    layers: Collection[str] | None = None,
) -> Sparsified:
    """Sets the weights of smallest magnitude to zero.

    Only kernels are pruned; at least one weight of each is kept. Zeros reduce the size of compressed files (the
    container `pocketflow.save_container`, or any archive), but not the latency. Fine-tuning recovers much of the
    accuracy: `sparse.model.fit(..., callbacks=[sparse.keep_zeros()])`; several rounds with increasing ratios are more
    accurate than one.

    Zhu and Gupta 2017, "To prune, or not to prune", https://arxiv.org/abs/1710.01878, section 3, for one step.

    >>> inputs = keras.Input((8,))
    >>> model = keras.Model(inputs, keras.layers.Dense(2, name='logits')(inputs))
    >>> sparse = sparsify(model, ratio=0.75)
    >>> int(tf.math.count_nonzero(sparse.model.get_layer('logits').kernel)), sparse.masks['logits'][0].shape.as_list()
    (4, [8, 2])

    Args:
      model: a functional or sequential tf_keras model; it is not modified.
      ratio: share of the weights to be zero over all pruned layers, in [0, 1); or layer -> its share.
      protocol: distribution of a single share over the layers: 'uniform', the same for each layer; 'heurist', more for
        larger layers: alpha ln(number of weights).
      layers: names of the layers whose kernels are pruned; default: those in `ratio`, or all prunable, trainable ones.

    Raises:
      UsageError: the model is not supported, or an argument is invalid.
    """
    model = flat_model(model)
    copy = copied(model)
    ratios = layer_ratios(model, ratio, protocol, layers)
    return Sparsified(copy, zero_smallest(copy, ratios), sparsity_plan(model, ratios))


def layer_ratios(
    model: keras.Model,
    ratio: float | Mapping[str, float],
    protocol: str = 'uniform',
    layers: Collection[str] | None = None,
) -> dict[str, float]:
    """Layer -> its share of zeros, in the model's order; arguments and errors as for `sparsify`."""
    kernels = prunable_layers(model, {})
    check_layers([] if layers is None else layers, kernels, 'pruned')
    if isinstance(ratio, Mapping):
        check_layers([*ratio], kernels if layers is None else layers, 'pruned')
        for name, share in ratio.items():
            check_share(f'ratio of {name}', share)
        return {name: float(ratio[name]) for name in kernels if name in ratio}
    check_share('ratio', ratio)
    check_choice('protocol', protocol, PROTOCOLS)
    if layers is None:
        layers = prunable_layers(model, skip_reasons(model, None))
    if not layers:
        raise UsageError(f'model {model.name!r} has no layer with weights to prune, or layers names none')
    sizes = {name: [int(tf.size(kernel)) for kernel in kernels[name]] for name in kernels if name in layers}
    try:
        return spread(sizes, ratio, protocol)
    except UsageError as error:
        raise UsageError(f'ratio={ratio}: {error}') from None


def spread(sizes: Mapping[str, Sequence[int]], ratio: float, protocol: str) -> dict[str, float]:
    """Layer -> its share of zeros.

    Args:
      sizes: layer -> the numbers of weights of its kernels.
      ratio: share of zeros over all layers, in [0, 1).
      protocol: one of `PROTOCOLS`.

    Raises:
      UsageError: the share exceeds that with one non-zero weight in each kernel.
    """
    totals = {name: sum(parts) for name, parts in sizes.items()}
    if protocol == 'uniform':
        return protocols.uniform(totals, ratio)
    return protocols.heurist(totals, ratio, {name: 1 - 1 / min(parts) for name, parts in sizes.items()})


def zeros_by_layer(model: keras.Model, ratios: Mapping[str, float]) -> dict[str, int]:
    """Layer -> number of zeros in its kernels at its share."""
    return {
        name: sum(int(num_zeros(ratio, tf.size(kernel))) for kernel in kernels_of(model.get_layer(name)))
        for name, ratio in ratios.items()
    }


def sparsity_plan(model: keras.Model, ratios: Mapping[str, float], num_weights: int | None = None) -> CompressionPlan:
    """The compression plan of the given shares.

    Args:
      model: the model that is pruned.
      ratios: layer -> its share of zeros.
      num_weights: denominator of the predicted `sparsity`; default: the number of weights of these layers' kernels.
    """
    num_zero = sum(zeros_by_layer(model, ratios).values())
    if num_weights is None:
        num_weights = sum(int(tf.size(kernel)) for name in ratios for kernel in kernels_of(model.get_layer(name)))
    predicted = {'sparsity': num_zero / max(num_weights, 1), 'nonzero_parameters': model.count_params() - num_zero}
    return CompressionPlan('sparsity', model.name, ratios, predicted=predicted)


def zero_smallest(model: keras.Model, ratios: Mapping[str, float]) -> Masks:
    """Sets the smallest weights of each kernel of a model to zero, in place, and returns the masks.

    Args:
      model: the model; it is modified.
      ratios: layer -> the share of zeros in each of its kernels.
    """
    masks = {}
    for name, ratio in ratios.items():
        kernels = kernels_of(model.get_layer(name))
        masks[name] = tuple(magnitude_mask(kernel, num_zeros(ratio, tf.size(kernel))) for kernel in kernels)
        for kernel, mask in zip(kernels, masks[name], strict=True):
            apply_mask(kernel, mask)
    return masks
