"""Learners: trained model -> compressed model, one folder per algorithm."""

from learners.abstract_learner import LEARNERS
from learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from learners.full_precision.learner import FullPrecLearner
from learners.nonuniform_quantization.learner import NonUniformQuantLearner
from learners.uniform_quantization.learner import UniformQuantLearner
from learners.uniform_quantization_tf.learner import UniformQuantTFLearner
from learners.weight_sparsification.learner import WeightSparseLearner

__all__ = ['LEARNERS', 'ChannelPrunedRmtLearner', 'FullPrecLearner', 'NonUniformQuantLearner', 'UniformQuantLearner',
           'UniformQuantTFLearner', 'WeightSparseLearner']
