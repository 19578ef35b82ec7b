"""Options of `channel`."""

from __future__ import annotations

import dataclasses

from pocketflow.learners.channel_pruning.choices import CURVE_METHODS
from pocketflow.learners.channel_pruning.options import (
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

RIDGE = 1e-5
"""Damping of the least squares, relative to the mean energy of a weight's input."""
MULTIPLE = 4
"""Numbers of channels are multiples of this with `--cp_quadruple`."""


@dataclasses.dataclass(frozen=True)
class GroupPruningOptions(ChannelPrunerOptions):
    """Options of channel pruning in groups of layers."""

    superseded = {
        'cp_channel_pruned_path': 'results are in --run_dir',
        'cp_best_path': 'results are in --run_dir',
        'cp_original_path': 'results are in --run_dir',
    }

    prune_option: str = option(
        'cp_prune_option',
        'auto',
        'uniform: cp_uniform_preserve_ratio for every layer; list: the ratios of cp_prune_list_file; auto: a ratio of '
        'each layer that --hp_optimizer searches; by measured sensitivity curves, sensitive: the same drop of the '
        'metric for every layer; program: the least sum of losses',
        choices=('uniform', 'list', 'auto', *CURVE_METHODS),
    )
    uniform_share: float = option(
        'cp_uniform_preserve_ratio',
        0.6,
        'share of the input channels of each convolution to keep',
        above=0,
        high=1,
        needs='cp_prune_option=uniform',
    )
    list_path: str | None = option(
        'cp_prune_list_file',
        None,
        'file with the share of its input channels that each convolution keeps, in the order of execution, separated '
        'by commas; layers that are skipped keep all',
        names='file',
        needs='cp_prune_option=list',
    )
    preserve_ratio: float = option(
        'cp_preserve_ratio',
        0.5,
        'budget, as a share of the multiply-adds',
        above=0,
        below=1,
        unless='cp_prune_option=uniform cp_prune_option=list',
    )
    curves: str | None = option(
        'cp_curves',
        None,
        'sensitivity curves of a former run for sensitive and program: its directory, or curves.json',
        names='curves',
        unless='cp_prune_option=uniform cp_prune_option=list cp_prune_option=auto',
    )
    reward_policy: str = option(
        'cp_reward_policy',
        'accuracy',
        'accuracy: the best metric within the budget; flops: without a budget, few FLOPs against few errors',
        choices=('accuracy', 'flops'),
        needs='cp_prune_option=auto',
    )
    noise_tolerance: float = option(
        'cp_noise_tolerance',
        0.15,
        'error rate below which a lower one earns nothing',
        above=0,
        below=1,
        needs='cp_reward_policy=flops',
    )
    num_rollouts: int = option('cp_nb_rlouts', 200, 'trials of the search', low=1, needs='cp_prune_option=auto')
    num_rollouts_min: int = option(
        'cp_nb_rlouts_min',
        50,
        'roll-outs before the agent of ddpg acts; at most half of all are taken',
        low=1,
        needs='cp_prune_option=auto hp_optimizer=ddpg',
    )
    skip_first: bool = option('cp_skip_frst_layer', True, 'do not prune the first convolution')
    skip_last: bool = option('cp_skip_last_layer', True, 'do not prune the last convolution')
    lasso: bool = option('cp_lasso', True, 'choose channels by LASSO; otherwise by the l1 norm of their weights')
    quadruple: bool = option('cp_quadruple', False, 'keep multiples of four channels, for vector units of phones')
    num_positions: int = option('cp_nb_points_per_layer', 10, 'sampled output positions per image and layer', low=1)
    num_batches: int = option(
        'cp_nb_batches', 30, 'batches of --batch_size training images for selection and re-fitting', low=1
    )
    group_size: int = option(
        'cp_list_group',
        1000,
        'layers that are pruned before the network is tuned; layers that share a stream of channels stay together',
        low=1,
    )
    finetune: bool = option(
        'cp_finetune', False, 'tune shortly with Adam between groups, instead of the whole fine-tuning'
    )
    retrain: bool = option('cp_retrain', False, 'the whole fine-tuning between groups, even with cp_finetune')
    tuning_rate: float = option(
        'cp_lrn_rate_ft',
        1e-4,
        'learning rate of Adam between groups',
        above=0,
        needs='cp_finetune',
        unless='cp_retrain',
    )
    tuning_share: float = option(
        'cp_nb_iters_ft_ratio',
        0.2,
        'steps of tuning between groups, as a share of those of the whole fine-tuning',
        above=0,
        needs='cp_finetune',
        unless='cp_retrain',
    )

    budget_flag = 'cp_preserve_ratio'
    search_flag = '--cp_prune_option=auto'
    fixed_flag = '--cp_prune_option=uniform'

    @property
    def stage(self) -> StageSettings:
        """The settings of the stage; `num_images` counts batches."""
        return StageSettings(
            'lasso' if self.lasso else 'l1',
            self.num_batches,
            self.num_positions,
            RIDGE,
            skip_first=self.skip_first,
            skip_last=self.skip_last,
            skip_names=None,
            dense='none',
            flags=StageFlags('cp_nb_batches', 'cp_skip_frst_layer', 'cp_skip_last_layer'),
        )

    @property
    def macs_share(self) -> float:
        return self.preserve_ratio

    @property
    def by_curves(self) -> CurveSettings | None:
        if self.prune_option not in CURVE_METHODS:
            return None
        flags = CurveFlags('cp_preserve_ratio', 'cp_curves', selector=None)
        return CurveSettings(self.prune_option, 'macs', self.preserve_ratio, self.curves, flags)

    @property
    def multiple(self) -> int:
        """Numbers of kept channels are multiples of this."""
        return MULTIPLE if self.quadruple else 1

    @property
    def searches(self) -> bool:
        return self.prune_option == 'auto'

    def layer_search(self) -> LayerSearch:
        return LayerSearch(self.num_rollouts, self.num_rollouts_min, num_steps=0)

    def check(self) -> None:
        if (self.prune_option == 'list') != (self.list_path is not None):
            raise UsageError('--cp_prune_option=list and --cp_prune_list_file=FILE go together; give both or neither')


LEARNERS.declare(
    'channel',
    'pocketflow.learners.channel_pruning_groups.learner',
    LearnerDeclaration(
        'Channel pruning with a ratio per layer, in groups with tuning in between (He et al. 2017, 2018).',
        options_class=GroupPruningOptions,
        defaults=SHARED_DEFAULTS,
        refuses_after=REFUSES_AFTER,
        budgets={'macs': Budget('cp_preserve_ratio', {'cp_prune_option': 'program'})},
    ),
)
