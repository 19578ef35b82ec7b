"""Options of channel pruning."""

from __future__ import annotations

import dataclasses

from pocketflow.learners.channel_pruning.choices import BUDGETS, CURVE_METHODS, DENSE_LAYERS, SELECTORS
from pocketflow.learners.channel_pruning.options import (
    MIN_RIDGE,
    REFUSES_AFTER,
    SHARED_DEFAULTS,
    ChannelPrunerOptions,
    CurveFlags,
    CurveSettings,
    StageFlags,
    StageSettings,
)
from pocketflow.learners.options import LEARNERS, Budget, LearnerDeclaration
from pocketflow.learners.search.options import LayerSearch
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option

STAGE_FLAGS = StageFlags(
    'cpr_nb_smpls', 'cpr_skip_frst_layer', 'cpr_skip_last_layer', 'cpr_skip_op_names', 'cpr_dense_layers'
)


@dataclasses.dataclass(frozen=True)
class ChannelPruningOptions(ChannelPrunerOptions):
    """Options of the selection of channels, and of re-fitting the remaining weights."""

    superseded = {
        'cpr_ista_lrn_rate': 'the LASSO path is exact',
        'cpr_ista_nb_iters': 'the LASSO path is exact',
        'cpr_lstsq_lrn_rate': 'least squares is solved in closed form',
        'cpr_lstsq_nb_iters': 'least squares is solved in closed form',
        'cpr_save_path': 'results are in --run_dir',
        'cpr_save_path_eval': 'results are in --run_dir',
    }

    prune_ratio: float = option(
        'cpr_prune_ratio',
        0.5,
        'share of the input channels of each layer to remove',
        low=0,
        below=1,
        unless='cpr_warm_start cpr_prune_option=auto cpr_prune_option=sensitive cpr_prune_option=program',
    )
    skip_first: bool = option('cpr_skip_frst_layer', True, 'do not prune the first convolution')
    skip_last: bool = option('cpr_skip_last_layer', False, 'do not prune the last convolution')
    skip_names: str | None = option(
        'cpr_skip_op_names', None, 'do not prune layers whose names contain one of these, separated by commas'
    )
    dense: str = option(
        'cpr_dense_layers',
        'hidden',
        'which dense layers to prune; hidden: all but the one that makes the logits',
        choices=DENSE_LAYERS,
    )
    selector: str = option(
        'cpr_criterion',
        'lasso',
        'how channels are chosen. ' + '; '.join(f'{name}: {SELECTORS.declaration(name)}' for name in SELECTORS),
        choices=tuple(SELECTORS),
        unless='cpr_warm_start',
    )
    num_images: int = option('cpr_nb_smpls', 5000, 'training images for selection and re-fitting', low=1)
    num_positions: int = option('cpr_nb_crops_per_smpl', 10, 'sampled output positions per image and layer', low=1)
    ridge: float = option(
        'cpr_lstsq_ridge',
        1e-5,
        "damping of the least squares, relative to the mean energy of a weight's input",
        low=MIN_RIDGE,
    )
    warm_start: bool = option('cpr_warm_start', False, 'take the channels from the plan at cpr_save_path_ws')
    plan_path: str | None = option(
        'cpr_save_path_ws', None, 'plan.json of a former run, or its run directory', names='plan'
    )
    prune_option: str = option(
        'cpr_prune_option',
        'uniform',
        'uniform: cpr_prune_ratio for every layer; auto: a share of each layer that --hp_optimizer searches; '
        'by measured sensitivity curves, sensitive: the same drop of the metric for every layer; program: the least '
        'sum of losses',
        choices=('uniform', 'auto', *CURVE_METHODS),
        unless='cpr_warm_start',
    )
    preserve_ratio: float = option(
        'cpr_preserve_ratio',
        0.5,
        'budget, as a share of the multiply-adds, or of what cpr_budget says',
        above=0,
        below=1,
        unless='cpr_warm_start cpr_prune_option=uniform',
    )
    budget: str = option(
        'cpr_budget',
        'macs',
        'sensitive and program: what the budget is of; bytes: those of the float32 weights in an exported file',
        choices=BUDGETS,
        unless='cpr_warm_start cpr_prune_option=uniform cpr_prune_option=auto',
    )
    curves: str | None = option(
        'cpr_curves',
        None,
        'sensitivity curves of a former run for sensitive and program: its directory, or curves.json',
        names='curves',
        unless='cpr_warm_start cpr_prune_option=uniform cpr_prune_option=auto',
    )
    num_rollouts: int = option('cpr_nb_rlouts', 200, 'trials of the search', low=1, needs='cpr_prune_option=auto')
    num_rollouts_min: int = option(
        'cpr_nb_rlouts_min',
        50,
        'roll-outs before the agent of ddpg acts; at most half of all are taken',
        low=1,
        needs='cpr_prune_option=auto hp_optimizer=ddpg',
    )
    num_tune_steps: int = option(
        'cpr_nb_iters_ft',
        0,
        'steps of fast fine-tuning per trial, after its weights are re-fitted',
        low=0,
        needs='cpr_prune_option=auto',
    )

    budget_flag = 'cpr_preserve_ratio'
    search_flag = '--cpr_prune_option=auto'
    fixed_flag = '--cpr_prune_option=uniform'

    @property
    def stage(self) -> StageSettings:
        return StageSettings(
            self.selector,
            self.num_images,
            self.num_positions,
            self.ridge,
            self.skip_first,
            self.skip_last,
            self.skip_names,
            self.dense,
            STAGE_FLAGS,
        )

    @property
    def macs_share(self) -> float:
        return self.preserve_ratio

    @property
    def by_curves(self) -> CurveSettings | None:
        if self.warm_start or self.prune_option not in CURVE_METHODS:
            return None
        flags = CurveFlags('cpr_preserve_ratio', 'cpr_curves', 'cpr_criterion')
        return CurveSettings(self.prune_option, self.budget, self.preserve_ratio, self.curves, flags)

    @property
    def searches(self) -> bool:
        return self.prune_option == 'auto' and not self.warm_start

    def layer_search(self) -> LayerSearch:
        return LayerSearch(self.num_rollouts, self.num_rollouts_min, self.num_tune_steps)

    def check(self) -> None:
        if self.warm_start != (self.plan_path is not None):
            raise UsageError('--cpr_warm_start and --cpr_save_path_ws=PLAN go together; give both or neither')


LEARNERS.declare(
    'chn-pruned-rmt',
    'pocketflow.learners.channel_pruning_rmt.learner',
    LearnerDeclaration(
        'LASSO channel selection, least-squares re-fit, real removal (He et al. 2017).',
        options_class=ChannelPruningOptions,
        defaults=SHARED_DEFAULTS,
        refuses_after=REFUSES_AFTER,
        budgets={
            kind: Budget('cpr_preserve_ratio', {'cpr_prune_option': 'program', 'cpr_budget': kind}) for kind in BUDGETS
        },
    ),
)
