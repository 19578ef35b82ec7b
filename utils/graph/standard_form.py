"""The standard form of models: functional, without nested models, with logits as outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tf_keras as keras
from absl import logging

from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.graph.flatten import flatten
from pocketflow.utils.graph.head import Head, take_head_off
from pocketflow.utils.graph.new_head import NewHead
from pocketflow.utils.graph.single_output import with_two_logits


@dataclasses.dataclass(frozen=True)
class StandardForm:
    """A model in standard form.

    Attributes:
      model: the model.
      head: the head that was removed from its output, or None.
      new_head: the last layer, if it was replaced by one with another number of outputs.
    """

    model: keras.Model
    head: Head | None = None
    new_head: NewHead | None = None

    def log(self, source: str) -> None:
        """Logs a removed head, and a new one; `source` is the origin of the model, for messages."""
        if self.new_head is not None:
            logging.info(
                '%s: its last layer, %r, is replaced by a new one, untrained, with %d outputs instead of %d',
                source,
                self.new_head.layer,
                self.new_head.after,
                self.new_head.before,
            )
        if self.head is None:
            return
        change = f'the {self.head.function} at its end (layer {self.head.layer!r}) is taken off'
        if self.head.is_single:
            change = f'its single output (layer {self.head.layer!r}) becomes two logits'
        logging.info(
            '%s: %s, because the loss takes logits, and is put back on in the saved model and in the exported files '
            '(in these unless --export_head=logits)',
            source,
            change,
        )


def standard_form(
    model: keras.Model,
    input_shape: Sequence[int] | None = None,
    wants_logits: bool = True,
    num_classes: int | None = None,
) -> StandardForm:
    """Converts a model to standard form; a model in standard form is returned unchanged.

    Args:
      model: a functional or sequential model; its weights are not modified.
      input_shape: shape of one sample, for a `Sequential` model that is not built, and for one that takes any size.
      wants_logits: whether a softmax or sigmoid at the output is removed.
      num_classes: number of classes; if 2, a network with a single output is given two logits (`single_output`).

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
    flat = flatten(_of_size(flatten(model), input_shape))
    if not wants_logits:
        return StandardForm(flat)
    logits, head = take_head_off(flat)
    if num_classes == 2 and logits.output_shape == (None, 1):
        head = dataclasses.replace(head or Head('linear', logits.output_names[0]), is_single=True)
        logits = with_two_logits(logits)
    return StandardForm(logits, head)


def _of_size(model: keras.Model, input_shape: Sequence[int] | None) -> keras.Model:
    """A model that takes inputs of this shape, if it takes inputs of any size; else `model` itself."""
    if not isinstance(input_shape, Sequence) or len(model.inputs) != 1:
        return model
    shape = tuple(model.inputs[0].shape[1:])
    is_open = None in shape and len(shape) == len(input_shape)
    if not is_open or any(size not in (None, wanted) for size, wanted in zip(shape, input_shape, strict=True)):
        return model
    inputs = keras.Input(input_shape, name=model.input_names[0], dtype=model.inputs[0].dtype)
    return keras.Model(inputs, model(inputs), name=model.name)


def _build(model: keras.Sequential, input_shape: Sequence[int]) -> None:
    try:
        model.build((None, *input_shape))
    except Exception as error:  # layers may raise any exception
        raise UsageError(
            f'model {model.name!r} cannot be built for inputs of shape {tuple(input_shape)} ({first_line(error)})'
        ) from error
