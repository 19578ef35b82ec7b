"""The layers of a model whose input channels are pruned, and the reasons why others are not."""

from __future__ import annotations

from collections.abc import Mapping

import tf_keras as keras

from pocketflow.learners.channel_pruning.linear_forms import linear_form
from pocketflow.utils.channels import ReaderChannels

FIRST, LAST, DENSE, ONE = 'first convolution', 'last convolution', 'dense layer', 'one input channel'


def reasons_not_to_prune(
    model: keras.Model,
    readers: Mapping[str, ReaderChannels],
    skip_first: bool = True,
    skip_last: bool = False,
    dense: str = 'hidden',
) -> dict[str, str]:
    """Reader -> the reason why it is not pruned; readers that are not named are prunable.

    Args:
      model: a functional model.
      readers: all its readers, in the order of execution.
      skip_first, skip_last: whether the first and the last convolution are excluded.
      dense: one of `choices.DENSE_LAYERS`.
    """
    convolutions = [
        name
        for name, reader in readers.items()
        if reader.kind == 'conv' and linear_form(model.get_layer(name)) is not None
    ]
    makes_output = set(model.output_names)
    reasons = {}
    for name, reader in readers.items():
        if reader.kind == 'dense':
            if dense == 'none' or (dense == 'hidden' and name in makes_output):
                reasons[name] = DENSE
        elif name not in convolutions:
            reasons[name] = f'{type(model.get_layer(name)).__name__} is not selected, only shrunk'
        elif skip_first and name == convolutions[0]:
            reasons[name] = FIRST
        elif skip_last and name == convolutions[-1]:
            reasons[name] = LAST
        if name not in reasons and reader.num_channels == 1:
            reasons[name] = ONE
    return reasons
