"""`uniform`: weights on evenly spaced grids, trained with the straight-through estimator."""

from __future__ import annotations

from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.uniform_quantization.options import UniformQuantizationOptions
from pocketflow.learners.weight_quantization.weight_bits import WeightBitsLearner
from pocketflow.utils.quantization.post_training import WeightFormat


@LEARNERS.register('uniform')
class UniformQuantLearner(WeightBitsLearner):
    """Uniform quantization with the straight-through estimator (Jacob et al. 2018; Bengio et al. 2013).

    Each layer computes with its weights rounded to 2^k evenly spaced values between the minimum and the maximum of
    their bucket, while training updates the weights before rounding. The finished model stores only the codes.
    """

    options_class = UniformQuantizationOptions
    options: UniformQuantizationOptions

    def __init__(self, context: LearnerContext, options: UniformQuantizationOptions):
        super().__init__(context, options)
        if options.symmetric:
            self.export_formats = ('mixed', *self.export_formats)

    def weight_format(self) -> WeightFormat:
        return WeightFormat('uniform', self.bucket(), self.options.symmetric)
