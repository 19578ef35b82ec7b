"""What can be set about searches, whatever is searched."""

from __future__ import annotations

import dataclasses

from utils.options import Options, option


@dataclasses.dataclass(frozen=True)
class SearchOptions(Options):
    """The search method; how many roll-outs a learner's own search makes is the learner's option."""

    optimizer: str = option('hp_optimizer', 'ddpg', 'how values per layer are searched', choices=(
        'ddpg', 'gp', 'random', 'tpe'))
    space: str | None = option('hpo_space', None, 'YAML file with flags to be searched, their ranges and their order')
    nb_trials: int = option('hpo_nb_trials', 100, 'trials of the search over the flags of --hpo_space', low=1)
