"""The standard form of models: functional, without nested models, with logits as outputs."""

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
    """A model in standard form.

    Attributes:
      model: the model.
      head: the head that was removed from its output, or None.
    """

    model: keras.Model
    head: Head | None = None

    def log(self, source: str) -> None:
        """Warns of a removed head; `source` is the origin of the model, for messages."""
        if self.head is not None:
            logging.warning(
                '%s: the %s at its end (layer %r) was removed, because the loss takes logits; the saved '
                'and the exported models give logits too, in the same order of classes',
                source,
                self.head.function,
                self.head.layer,
            )


def standard_form(
    model: keras.Model, input_shape: Sequence[int] | None = None, wants_logits: bool = True
) -> StandardForm:
    """Converts a model to standard form; a model in standard form is returned unchanged.

    Args:
      model: a functional or sequential model; its weights are not modified.
      input_shape: shape of one sample, with which a `Sequential` model that is not built is built.
      wants_logits: whether a softmax or sigmoid at the output is removed.

    Raises:
      UsageError: the model cannot be converted.
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
    except Exception as error:  # layers may raise any exception
        raise UsageError(
            f'model {model.name!r} cannot be built for inputs of shape {tuple(input_shape)} ({first_line(error)})'
        ) from error
