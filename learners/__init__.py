"""Learners: trained model -> compressed model, one folder per algorithm.

Each import declares a learner with its options; the learner itself is loaded when it is asked for.
"""

import pocketflow.learners.channel_pruning_discrimination.options
import pocketflow.learners.channel_pruning_gpu.options
import pocketflow.learners.channel_pruning_groups.options
import pocketflow.learners.channel_pruning_rmt.options
import pocketflow.learners.full_precision.options
import pocketflow.learners.nonuniform_quantization.options
import pocketflow.learners.post_training.options
import pocketflow.learners.uniform_quantization.options
import pocketflow.learners.uniform_quantization_tf.options
import pocketflow.learners.weight_sparsification.options
from pocketflow.learners.options import LEARNERS

__all__ = ['LEARNERS']
