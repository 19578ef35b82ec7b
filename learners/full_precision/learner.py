"""`full-prec`: ordinary training of the uncompressed network."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.datasets.feature_dataset import FeatureDataset
from pocketflow.learners.abstract_learner import AbstractLearner, Compressed
from pocketflow.learners.forecast import Effort, Speed, layers_with_kernels
from pocketflow.learners.full_precision.freezing import features_of, frozen, frozen_layers, num_bytes, why_not_kept
from pocketflow.learners.options import FROZEN_CACHE_MIB, LEARNERS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.graph import copied
from pocketflow.utils.graph.split import behind, border, copy_weights
from pocketflow.utils.training.precision import compute_dtype, resolve_compute_dtype


@LEARNERS.register('full-prec')
class FullPrecLearner(AbstractLearner):
    """Ordinary training from random weights, or with `enbl_warm_start` from a given model, of which a part may stay."""

    timing = ('train', 'train')
    keeps_shapes = True
    _feature_helper: AbstractModelHelper | None = None
    """The pair with the outputs of the frozen layers as inputs, while the rest is trained on them."""

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        self._frozen_layers(make_model())  # raises an error if the model does not fit the data, or --freeze the model

    def compress(self, model: keras.Model | None, found: Mapping[str, Any] | None = None) -> Compressed:
        if model is not None and self.context.learner_options.warm_start:
            return Compressed(copied(model))
        form = self.helper.new_form()
        return Compressed(form.model, head=form.head)

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        return dict.fromkeys(layers_with_kernels(model), 'full-prec compresses nothing')

    def compress_effort(self, model: keras.Model, speed: Speed) -> Effort:
        effort, names, data = super().compress_effort(model, speed), self._frozen_layers(model), self.helper.dataset
        if not names or self._why_not_kept(model, names) is not None:
            return effort
        # What the frozen layers compute of the training images is the first part of the training.
        seconds = len(data.source('train')) * speed.image
        return Effort(effort.seconds + seconds, effort.num_bytes + num_bytes(border(model, names), data))

    def training_length(self) -> tuple[float | None, float]:
        return None, 1.0

    def training_helper(self) -> AbstractModelHelper:
        return self._feature_helper or self.helper

    def fit(self, compressed: Compressed, *args: Any, **kwargs: Any) -> float:
        model = compressed.model
        names = self._frozen_layers(model)
        if not names:
            return super().fit(compressed, *args, **kwargs)
        with frozen(model, names):
            size, total = (sum(map(_size, part)) for part in (model.trainable_variables, model.weights))
            logging.info('%d layers are frozen; %s of %s weights are trained', len(names), f'{size:,}', f'{total:,}')
            reason = self._why_not_kept(model, names)
            if reason is not None:
                logging.info('frozen layers are computed in each step: %s', reason)
                return super().fit(compressed, *args, **kwargs)
            return self._fit_rest(compressed, names, *args, **kwargs)

    def _fit_rest(self, compressed: Compressed, names: frozenset[str], *args: Any, **kwargs: Any) -> float:
        """Trains what follows the frozen layers, on what these compute of the training images."""
        model, tensor = compressed.model, border(compressed.model, names)
        assert tensor is not None, 'else the outputs are not kept'
        if self.helper.max_training_images is not None:  # a check, which needs only the duration of a step
            shape = (len(self.helper.dataset.source('train')), *tensor.shape[1:])
            features = np.broadcast_to(np.float32(0), shape)
        else:
            with compute_dtype(resolve_compute_dtype(self.context.trainer_options.compute_dtype, model)):
                features = features_of(model, tensor, self.helper.dataset)
        self._feature_helper = copy.copy(self.helper)
        self._feature_helper.dataset = FeatureDataset(self.helper.dataset, features)
        try:
            rest = behind(model, tensor, names)
            speed = super().fit(dataclasses.replace(compressed, model=rest), *args, **kwargs)
        finally:
            self._feature_helper = None
        copy_weights(rest, model)
        return speed

    def _frozen_layers(self, model: keras.Model) -> frozenset[str]:
        shared = self.context.learner_options
        return frozen_layers(model, shared.freeze, f'--save_path={shared.save_path}')

    def _why_not_kept(self, model: keras.Model, names: frozenset[str]) -> str | None:
        asked = self.context.learner_options.frozen_cache_size
        limit = FROZEN_CACHE_MIB if asked is None else asked
        if self.context.distillation is not None:
            return 'the teacher takes images'
        return why_not_kept(model, names, self.helper.dataset, limit * 2**20)


def _size(variable: tf.Variable) -> int:
    return math.prod(variable.shape)
