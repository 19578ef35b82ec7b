"""`full-prec`: ordinary training of the uncompressed network."""

from __future__ import annotations

from collections.abc import Callable

import tf_keras as keras

from pocketflow.learners.abstract_learner import LEARNERS, AbstractLearner, Compressed
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.graph import copied


@LEARNERS.register('full-prec')
class FullPrecLearner(AbstractLearner):
    """Ordinary training from random weights, or with `enbl_warm_start` from given ones."""

    name = 'full-prec'
    timing = ('train', 'train')
    keeps_shapes = True
    replaced_flags = {
        'nb_epochs_rat_ft': 'nb_epochs_rat',
        'lrn_rate_rat_ft': 'lrn_rate_init',
        'loss_w_dcy_rat_ft': 'loss_w_dcy',
        'batch_size_ft': 'batch_size',
        'crop_padding_ft': 'crop_padding',
    }

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        make_model()  # which refuses a model that does not fit the data

    def compress(self, model: keras.Model | None, found: None = None) -> Compressed:
        if model is not None and self.context.learner_options.warm_start:
            return Compressed(copied(model))
        return Compressed(self.helper.new_model())

    def training_length(self) -> tuple[float | None, float]:
        return None, 1.0

    def training_helper(self) -> AbstractModelHelper:
        return self.helper
