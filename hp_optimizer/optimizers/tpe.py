"""Tree of Parzen estimators, from hyperopt.

Bergstra et al., Algorithms for Hyper-Parameter Optimization, NIPS 2011.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from pocketflow.hp_optimizer.domain import Domain, Value
from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer
from pocketflow.hp_optimizer.options import OPTIMIZERS


@functools.cache
def _hyperopt() -> Any:
    """The library, imported on first use, which takes seconds."""
    import hyperopt
    import hyperopt.base
    import hyperopt.tpe

    logging.getLogger('hyperopt').setLevel(logging.WARNING)
    return hyperopt


@OPTIMIZERS.register('tpe')
class TpeOptimizer(HyperParamOptimizer):
    """Models the densities of good and bad candidates per dimension, and proposes the best density ratio.

    Args:
      num_startup: trials drawn at random before the first model; default: a sixth of all trials, at most 20.
      gamma: the best `gamma * sqrt(trials)` candidates count as good. With hyperopt's default of 0.25 these are 2 of
        60 trials, too few to identify the relevant ones of many layers.
      num_candidates: draws from the density of the good candidates, of which the best is proposed.
    """

    def __init__(
        self,
        domain: Domain,
        seed: int = 0,
        num_trials: int = 100,
        num_startup: int | None = None,
        gamma: float = 1.0,
        num_candidates: int = 24,
    ):
        super().__init__(domain, seed, num_trials)
        hyperopt = _hyperopt()
        self._labels = [f'x{place}' for place in range(self.num_dims)]
        space = {label: hyperopt.hp.uniform(label, 0.0, 1.0) for label in self._labels}
        self._model = hyperopt.base.Domain(lambda config: 0.0, space)
        self._trials = hyperopt.Trials()
        num_startup = min(20, max(1, num_trials // 6)) if num_startup is None else num_startup
        self._settings = {'n_startup_jobs': num_startup, 'gamma': gamma, 'n_EI_candidates': num_candidates}

    def _suggest(self) -> np.ndarray:
        seed = int(self._random().integers(2**31))
        (document,) = _hyperopt().tpe.suggest(
            [self._next_trial], self._model, self._trials, seed, verbose=False, **self._settings
        )
        return np.array([document['misc']['vals'][label][0] for label in self._labels])

    def _learn(self, values: Mapping[str, Value], point: np.ndarray, reward: float) -> None:
        hyperopt = _hyperopt()
        number = len(self._trials.trials)
        misc = {
            'tid': number,
            'cmd': self._model.cmd,
            'workdir': None,
            'idxs': {label: [number] for label in self._labels},
            'vals': {label: [float(value)] for label, value in zip(self._labels, point, strict=True)},
        }
        (document,) = self._trials.new_trial_docs(
            [number], [None], [{'status': hyperopt.STATUS_OK, 'loss': -reward}], [misc]
        )
        document['state'] = hyperopt.JOB_STATE_DONE
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
