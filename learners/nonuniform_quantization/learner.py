"""`non-uniform`: weights from trained code books."""

from __future__ import annotations

import dataclasses

import tf_keras as keras

from pocketflow.learners.nonuniform_quantization.options import NonUniformQuantizationOptions
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.weight_quantization.weight_bits import WeightBitsLearner
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.quantization import codebook_variables, excluding
from pocketflow.utils.quantization.post_training import WeightFormat
from pocketflow.utils.training.trainer import TrainerParts


@LEARNERS.register('non-uniform')
class NonUniformQuantLearner(WeightBitsLearner):
    """Trained code books (Han, Mao and Dally 2016, https://arxiv.org/abs/1510.00149, section 3).

    Each weight of a layer is replaced by the nearest entry of a code book. Code books are initialised by k-means, and
    trained with the summed gradients of the weights that share an entry.
    """

    options_class = NonUniformQuantizationOptions
    options: NonUniformQuantizationOptions

    def weight_format(self) -> WeightFormat:
        return WeightFormat('codebook', self.bucket(), start=self.options.init_style)

    def trainer_parts(self, model: keras.Model, plan: CompressionPlan | None) -> TrainerParts:
        parts, books = super().trainer_parts(model, plan), codebook_variables(model)
        match self.options.opt_mode:
            case 'weights':
                return dataclasses.replace(parts, variables=excluding(model.trainable_variables, books))
            case 'cluster' | 'clusters':
                return dataclasses.replace(parts, variables=books)
            case _:
                return parts
