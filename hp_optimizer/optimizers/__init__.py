"""Search methods behind one ask/tell interface: `OPTIMIZERS`, `HyperParamOptimizer`."""

from hp_optimizer.optimizers.abstract import OPTIMIZERS, HyperParamOptimizer
from hp_optimizer.optimizers.ddpg import DdpgOptimizer
from hp_optimizer.optimizers.gp import GaussianProcessOptimizer
from hp_optimizer.optimizers.random_search import RandomOptimizer
from hp_optimizer.optimizers.tpe import TpeOptimizer

__all__ = ['OPTIMIZERS', 'DdpgOptimizer', 'GaussianProcessOptimizer', 'HyperParamOptimizer', 'RandomOptimizer',
           'TpeOptimizer']
