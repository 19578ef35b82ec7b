"""The form in which all code takes models: functional, without models among its layers, ending with logits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tf_keras as keras
from absl import logging

from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.graph.flatten import flatten
from pocketflow.utils.graph.head import Head, take_head_off


@dataclasses.dataclass(frozen=True)
class StandardForm:
    """A model in this form.

    Attributes:
      model: the model.
      head: what was taken off its end, if anything was.
    """

    model: keras.Model
    head: Head | None = None

    def log(self, source: str) -> None:
        """Warns of a head that was taken off; `source` is where the model comes from."""
        if self.head is not None:
            logging.warning(
                '%s: the %s at its end (layer %r) was taken off, because the loss takes logits; the saved '
                'and the exported models give logits too, in the same order of classes',
                source,
                self.head.function,
                self.head.layer,
            )


def standard_form(
    model: keras.Model, input_shape: Sequence[int] | None = None, wants_logits: bool = True
) -> StandardForm:
    """Brings a model into this form; one that has it is handed on as it is.

    Args:
      model: a functional or sequential model; its weights are left as they are.
      input_shape: of one sample; builds a `Sequential` model that was not told its own.
      wants_logits: whether a softmax or sigmoid that makes the output is taken off.

    Raises:
      UsageError: the model cannot be brought into this form.
    """
    if not isinstance(model, keras.Model):
        raise UsageError(
            f'it is a {type(model).__module__}.{type(model).__name__}, not a model of tf_keras; build it '
            'with `import tf_keras as keras` (tf.keras is another version of Keras)'
        )
    if isinstance(model, keras.Sequential) and not model.built and input_shape is not None:
        _build(model, input_shape)
    flat = flatten(model)
    return StandardForm(*take_head_off(flat)) if wants_logits else StandardForm(flat)


def _build(model: keras.Sequential, input_shape: Sequence[int]) -> None:
    try:
        model.build((None, *input_shape))
    except Exception as error:  # layers raise whatever they like
        raise UsageError(
            f'model {model.name!r} cannot be built for inputs of shape {tuple(input_shape)} ({first_line(error)})'
        ) from error
