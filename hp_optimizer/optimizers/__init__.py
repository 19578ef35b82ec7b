"""Search methods behind one ask/tell interface: `OPTIMIZERS`, `HyperParamOptimizer`."""

from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer
from pocketflow.hp_optimizer.optimizers.ddpg import DdpgOptimizer
from pocketflow.hp_optimizer.optimizers.gp import GaussianProcessOptimizer
from pocketflow.hp_optimizer.optimizers.random_search import RandomOptimizer
from pocketflow.hp_optimizer.optimizers.tpe import TpeOptimizer
from pocketflow.hp_optimizer.options import OPTIMIZERS

__all__ = [
    'OPTIMIZERS',
    'DdpgOptimizer',
    'GaussianProcessOptimizer',
    'HyperParamOptimizer',
    'RandomOptimizer',
    'TpeOptimizer',
]
