"""Hyper-parameter search: domains, optimizers, journal and search loop.

`SearchProblem` (a value per layer under a budget), `SearchSpace` (numeric flags), `OPTIMIZERS`, `Journal`, `search`;
`pareto_front` of the trials.
"""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {
    'Evaluate': 'pocketflow.hp_optimizer.driver',
    'HyperParamOptimizer': 'pocketflow.hp_optimizer.optimizers.abstract',
    'Journal': 'pocketflow.hp_optimizer.journal',
    'Kind': 'pocketflow.hp_optimizer.space',
    'Layer': 'pocketflow.hp_optimizer.problem',
    'OPTIMIZERS': 'pocketflow.hp_optimizer.options',
    'Order': 'pocketflow.hp_optimizer.space',
    'Parameter': 'pocketflow.hp_optimizer.space',
    'SearchOptions': 'pocketflow.hp_optimizer.options',
    'SearchProblem': 'pocketflow.hp_optimizer.problem',
    'SearchSpace': 'pocketflow.hp_optimizer.space',
    'Trial': 'pocketflow.hp_optimizer.journal',
    'TrialResult': 'pocketflow.hp_optimizer.driver',
    'names_in_space': 'pocketflow.hp_optimizer.space_file',
    'pareto_front': 'pocketflow.hp_optimizer.pareto',
    'read_space': 'pocketflow.hp_optimizer.space_file',
    'screening_floor': 'pocketflow.hp_optimizer.screening',
    'search': 'pocketflow.hp_optimizer.driver',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
