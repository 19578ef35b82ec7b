"""Options of all searches, and the registry of search methods."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pocketflow.utils.options import Options, option
from pocketflow.utils.registry import Registry

if TYPE_CHECKING:
    from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer

OPTIMIZERS: Registry[type[HyperParamOptimizer], None] = Registry('hyper-parameter optimizer')
"""Search methods by name."""

OPTIMIZERS.declare('ddpg', 'pocketflow.hp_optimizer.optimizers.ddpg')
OPTIMIZERS.declare('gp', 'pocketflow.hp_optimizer.optimizers.gp')
OPTIMIZERS.declare('random', 'pocketflow.hp_optimizer.optimizers.random_search')
OPTIMIZERS.declare('tpe', 'pocketflow.hp_optimizer.optimizers.tpe')


@dataclasses.dataclass(frozen=True)
class SearchOptions(Options):
    """Search method, verification and parallelism; the number of roll-outs per learner is the learner's option."""

    optimizer: str = option('hp_optimizer', 'ddpg', 'how values per layer are searched', choices=tuple(OPTIMIZERS))
    space: str | None = option('hpo_space', None, 'YAML file with flags to be searched, their ranges and their order')
    num_trials: int = option(
        'hpo_nb_trials', 100, 'trials of the search over the flags of --hpo_space', low=1, needs='hpo_space'
    )
    num_epochs: float = option(
        'hpo_nb_epochs',
        1.0,
        'epochs of training per trial of the search over the flags of --hpo_space',
        low=0,
        needs='hpo_space',
    )
    num_verified: int = option(
        'hpo_nb_verified', 3, 'how many of the best candidates are tuned longer before one is chosen', low=1
    )
    verify_factor: float = option(
        'hpo_verify_factor', 4.0, 'how much longer, as a factor on the steps of a trial', above=0
    )
    screening: bool = option(
        'hpo_screening',
        True,
        'do not tune candidates that are among the worst before tuning, if the ranks before and after tuning correlate',
        unless='hpo_space',
    )
    parallel: str = option(
        'hpo_parallel',
        'trials',
        'distribution over several workers: a trial per worker (trials), or each trial data-parallel (data)',
        choices=('trials', 'data'),
    )
    max_bytes: int | None = option(
        'hpo_max_bytes',
        None,
        "budget of a search in bytes of the exported model.pfz, in place of the learner's own budget",
        low=1,
        unless='hpo_space',
    )

    @property
    def side_by_side(self) -> bool:
        """Whether each of several workers evaluates a different candidate."""
        return self.parallel == 'trials'
