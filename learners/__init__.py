"""Learners: trained model -> compressed model, one folder per algorithm."""

from pocketflow.learners.abstract_learner import LEARNERS
from pocketflow.learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from pocketflow.learners.full_precision.learner import FullPrecLearner
from pocketflow.learners.nonuniform_quantization.learner import NonUniformQuantLearner
from pocketflow.learners.uniform_quantization.learner import UniformQuantLearner
from pocketflow.learners.uniform_quantization_tf.learner import UniformQuantTFLearner
from pocketflow.learners.weight_sparsification.learner import WeightSparseLearner

__all__ = [
    'LEARNERS',
    'ChannelPrunedRmtLearner',
    'FullPrecLearner',
    'NonUniformQuantLearner',
    'UniformQuantLearner',
    'UniformQuantTFLearner',
    'WeightSparseLearner',
]
