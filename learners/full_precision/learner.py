"""`full-prec`: ordinary training of the uncompressed network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tf_keras as keras

from pocketflow.learners.abstract_learner import AbstractLearner, Compressed
from pocketflow.learners.forecast import layers_with_kernels
from pocketflow.learners.options import LEARNERS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.graph import copied


@LEARNERS.register('full-prec')
class FullPrecLearner(AbstractLearner):
    """Ordinary training from random weights, or with `enbl_warm_start` from a given model."""

    timing = ('train', 'train')
    keeps_shapes = True

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        make_model()  # raises an error if the model does not fit the data

    def compress(self, model: keras.Model | None, found: Mapping[str, Any] | None = None) -> Compressed:
        if model is not None and self.context.learner_options.warm_start:
            return Compressed(copied(model))
        form = self.helper.new_form()
        return Compressed(form.model, head=form.head)

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        return dict.fromkeys(layers_with_kernels(model), 'full-prec compresses nothing')

    def training_length(self) -> tuple[float | None, float]:
        return None, 1.0

    def training_helper(self) -> AbstractModelHelper:
        return self.helper
