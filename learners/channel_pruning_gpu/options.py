"""Options of channel pruning by group-sparse regression."""

from __future__ import annotations

import dataclasses

from pocketflow.learners.channel_pruning.choices import DENSE_LAYERS
from pocketflow.learners.channel_pruning.options import (
    MIN_RIDGE,
    REFUSES_AFTER,
    SHARED_DEFAULTS,
    ChannelPrunerOptions,
    StageFlags,
    StageSettings,
)
from pocketflow.learners.options import LEARNERS, LearnerDeclaration
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option

SELECTOR = 'group-sparse'
STAGE_FLAGS = StageFlags('cpg_nb_smpls', 'cpg_skip_ht_layers', 'cpg_skip_ht_layers', dense='cpg_dense_layers')


@dataclasses.dataclass(frozen=True)
class GroupSparseOptions(ChannelPrunerOptions):
    """Options of the group-sparse selection of channels, and of re-fitting the remaining weights."""

    superseded = {
        'cpg_lrn_rate_pgd_init': 'the step size follows from the greatest eigenvalue of each layer',
        'cpg_lrn_rate_pgd_incr': 'the step size follows from the greatest eigenvalue of each layer',
        'cpg_lrn_rate_pgd_decr': 'the step size follows from the greatest eigenvalue of each layer',
        'cpg_nb_iters_layer': 'the number of steps follows from their convergence',
        'cpg_lrn_rate_adam': 'least squares is solved in closed form',
        'cpg_save_path': 'results are in --run_dir',
        'cpg_save_path_eval': 'results are in --run_dir',
    }

    ratio_type: str = option(
        'cpg_prune_ratio_type',
        'uniform',
        'uniform: cpg_prune_ratio for every layer; list: the ratios in cpg_prune_ratio_file',
        choices=('uniform', 'list'),
    )
    prune_ratio: float = option(
        'cpg_prune_ratio',
        0.5,
        'share of the input channels of each layer to remove',
        low=0,
        below=1,
        unless='cpg_prune_ratio_type=list',
    )
    ratio_file: str | None = option(
        'cpg_prune_ratio_file',
        None,
        'text file with the share of the input channels to remove of each layer that can be pruned, in the order of '
        'execution, separated by commas; 0: the layer is left alone',
        names='file',
        needs='cpg_prune_ratio_type=list',
    )
    skip_ends: bool = option(
        'cpg_skip_ht_layers',
        True,
        'do not prune the first and the last convolution',
        unless='cpg_prune_ratio_type=list',
    )
    dense: str = option(
        'cpg_dense_layers',
        'hidden',
        'which dense layers to prune; hidden: all but the one that makes the logits',
        choices=DENSE_LAYERS,
    )
    num_images: int = option('cpg_nb_smpls', 5000, 'training images for selection and re-fitting', low=1)
    num_positions: int = option('cpg_nb_crops_per_smpl', 10, 'sampled output positions per image and layer', low=1)
    ridge: float = option(
        'cpg_lstsq_ridge',
        1e-5,
        "damping of the least squares, relative to the mean energy of a weight's input",
        low=MIN_RIDGE,
    )

    @property
    def is_listed(self) -> bool:
        """Whether each layer has a ratio of its own."""
        return self.ratio_type == 'list'

    @property
    def stage(self) -> StageSettings:
        skip_ends = self.skip_ends and not self.is_listed
        return StageSettings(
            SELECTOR,
            self.num_images,
            self.num_positions,
            self.ridge,
            skip_ends,
            skip_ends,
            None,
            self.dense,
            STAGE_FLAGS,
        )

    def check(self) -> None:
        if self.is_listed != (self.ratio_file is not None):
            raise UsageError(
                '--cpg_prune_ratio_type=list and --cpg_prune_ratio_file=FILE go together; give both or neither'
            )


LEARNERS.declare(
    'chn-pruned-gpu',
    'pocketflow.learners.channel_pruning_gpu.learner',
    LearnerDeclaration(
        'Channel selection by group-sparse regression of each layer, least-squares re-fit, real removal.',
        options_class=GroupSparseOptions,
        defaults=SHARED_DEFAULTS,
        refuses_after=REFUSES_AFTER,
    ),
)
