"""Options of weight sparsification."""

from __future__ import annotations

import dataclasses

from pocketflow.learners.options import LEARNERS, Budget, LearnerDeclaration
from pocketflow.learners.search.options import LayerSearch, SearchedOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option

MIN_UPDATES = 20
"""Least number of mask updates between begin and end, if the training has enough steps."""


@dataclasses.dataclass(frozen=True)
class WeightSparseOptions(SearchedOptions):
    """Options of the share of zeros of each layer, and of the pruning schedule."""

    search_flag = '--ws_prune_ratio_prtl=optimal'
    fixed_flag = '--ws_prune_ratio_prtl=uniform'
    superseded = {
        'ws_save_path': 'results are in --run_dir',
        'ws_lrn_rate_rg': 'the layers of a candidate are tuned together',
        'ws_nb_iters_rg': 'the layers of a candidate are tuned together',
        'ws_lrn_rate_ft': 'candidates are tuned at lrn_rate_rat_ft, as the final model is',
    }

    prune_ratio: float = option(
        'ws_prune_ratio', 0.75, 'share of the weights to be zero', low=0, below=1, unless='ws_prune_plan hpo_max_bytes'
    )
    protocol: str = option(
        'ws_prune_ratio_prtl',
        'optimal',
        'the share of each layer; uniform: the same, heurist: '
        'more for larger layers, optimal: searched by --hp_optimizer',
        choices=('uniform', 'heurist', 'optimal'),
        unless='ws_prune_plan',
    )
    plan_path: str | None = option(
        'ws_prune_plan',
        None,
        "plan.json with each layer's share of zeros, or the run "
        'directory that holds one; in place of ws_prune_ratio and ws_prune_ratio_prtl',
        names='plan',
    )
    skip_names: str | None = option(
        'ws_skip_names', None, 'do not prune layers whose names contain one of these, separated by commas'
    )
    exponent: float = option(
        'ws_prune_ratio_exp', 3.0, 'exponent of the schedule: the larger, the more is pruned early', above=0
    )
    begin: float = option('ws_iter_ratio_beg', 0.1, 'when pruning begins, as a share of the training', low=0, high=1)
    end: float = option(
        'ws_iter_ratio_end', 0.5, 'when the final share of zeros is reached, as a share of the training', low=0, high=1
    )
    update_step: int = option(
        'ws_mask_update_step',
        500,
        f'steps between mask updates; fewer in short trainings, for {MIN_UPDATES} updates at least',
        low=1,
    )

    num_rollouts: int = option(
        'ws_nb_rlouts', 200, 'trials of the search', low=1, needs='ws_prune_ratio_prtl=optimal', unless='ws_prune_plan'
    )
    num_rollouts_min: int = option(
        'ws_nb_rlouts_min',
        50,
        'roll-outs before the agent of ddpg acts; at most half of all are taken',
        low=1,
        needs='ws_prune_ratio_prtl=optimal hp_optimizer=ddpg',
        unless='ws_prune_plan',
    )
    reward_type: str = option(
        'ws_reward_type',
        'single-obj',
        'reward of a trial; single-obj: its accuracy, with '
        'ws_prune_ratio kept; multi-obj: accuracy * ln(1 + sparsity), with every layer free',
        choices=('single-obj', 'multi-obj'),
        needs='ws_prune_ratio_prtl=optimal',
        unless='ws_prune_plan',
    )
    num_tune_steps: int = option(
        'ws_nb_iters_ft',
        400,
        'steps of fast fine-tuning per trial',
        low=0,
        needs='ws_prune_ratio_prtl=optimal',
        unless='ws_prune_plan',
    )
    num_eval_batches: int = option(
        'ws_nb_iters_feval',
        25,
        'batches of the held-out split on which a trial is evaluated; 0: all',
        low=0,
        needs='ws_prune_ratio_prtl=optimal',
        unless='ws_prune_plan',
    )

    @property
    def searches(self) -> bool:
        return self.protocol == 'optimal' and self.plan_path is None

    def layer_search(self) -> LayerSearch:
        return LayerSearch(self.num_rollouts, self.num_rollouts_min, self.num_tune_steps, self.num_eval_batches or None)

    def check(self) -> None:
        if self.begin > self.end:
            raise UsageError(
                f'--ws_iter_ratio_beg={self.begin}: pruning begins after its end; give at most '
                f'--ws_iter_ratio_end={self.end}'
            )


LEARNERS.declare(
    'weight-sparse',
    'pocketflow.learners.weight_sparsification.learner',
    LearnerDeclaration(
        'Gradual magnitude pruning (Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878) of a trained model.',
        options_class=WeightSparseOptions,
        budgets={'zeros': Budget('ws_prune_ratio')},
    ),
)
