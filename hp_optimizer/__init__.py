"""Search over hyper-parameters: what is searched, how, the journal and the loop.

`SearchProblem` (a value per layer under a budget), `SearchSpace` (numeric flags), `OPTIMIZERS`, `Journal`, `search`;
`pareto_front` of what was found.
"""

from pocketflow.hp_optimizer.driver import Evaluate, TrialResult, search
from pocketflow.hp_optimizer.journal import Journal, Trial
from pocketflow.hp_optimizer.optimizers import OPTIMIZERS, HyperParamOptimizer
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.hp_optimizer.pareto import pareto_front
from pocketflow.hp_optimizer.problem import Layer, SearchProblem
from pocketflow.hp_optimizer.screening import screening_floor
from pocketflow.hp_optimizer.space import Kind, Order, Parameter, SearchSpace
from pocketflow.hp_optimizer.space_file import names_in_space, read_space

__all__ = [
    'OPTIMIZERS',
    'Evaluate',
    'HyperParamOptimizer',
    'Journal',
    'TrialResult',
    'Kind',
    'Layer',
    'Order',
    'Parameter',
    'SearchOptions',
    'SearchProblem',
    'SearchSpace',
    'Trial',
    'names_in_space',
    'pareto_front',
    'read_space',
    'screening_floor',
    'search',
]
