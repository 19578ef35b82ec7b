"""Learners: trained model -> compressed model, one folder per algorithm."""

from learners.abstract_learner import LEARNERS
from learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from learners.full_precision.learner import FullPrecLearner

__all__ = ['LEARNERS', 'ChannelPrunedRmtLearner', 'FullPrecLearner']
