"""Options of discrimination-aware channel pruning."""

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
from pocketflow.utils.options import option

STAGE_FLAGS = StageFlags(
    'dcp_nb_smpls', 'dcp_skip_frst_layer', 'dcp_skip_last_layer', 'dcp_skip_op_names', 'dcp_dense_layers'
)


@dataclasses.dataclass(frozen=True)
class DiscriminationOptions(ChannelPrunerOptions):
    """Options of the selection of channels, and of the tuning before each block."""

    superseded = {
        'dcp_nb_iters_layer': 'the weights of a layer are fitted in closed form after each round',
        'dcp_save_path': 'results are in --run_dir',
        'dcp_save_path_eval': 'results are in --run_dir',
    }

    prune_ratio: float = option(
        'dcp_prune_ratio', 0.5, 'share of the input channels of each layer to remove', low=0, below=1
    )
    num_heads: int = option(
        'dcp_nb_stages',
        3,
        'auxiliary heads, which divide the layers into as many blocks and one more',
        low=0,
        unless='dcp_nb_iters_block=0',
    )
    num_tuning_steps: int = option(
        'dcp_nb_iters_block', 200, 'steps of tuning before the channels of each block are chosen', low=0
    )
    tuning_rate: float = option(
        'dcp_lrn_rate_adam', 1e-3, 'learning rate of Adam in these steps', above=0, unless='dcp_nb_iters_block=0'
    )
    skip_first: bool = option('dcp_skip_frst_layer', True, 'do not prune the first convolution')
    skip_last: bool = option('dcp_skip_last_layer', False, 'do not prune the last convolution')
    skip_names: str | None = option(
        'dcp_skip_op_names', None, 'do not prune layers whose names contain one of these, separated by commas'
    )
    dense: str = option(
        'dcp_dense_layers',
        'hidden',
        'which dense layers to prune; hidden: all but the one that makes the logits',
        choices=DENSE_LAYERS,
    )
    num_images: int = option('dcp_nb_smpls', 5000, 'training images for selection and re-fitting', low=1)
    num_positions: int = option('dcp_nb_crops_per_smpl', 10, 'sampled output positions per image and layer', low=1)
    ridge: float = option(
        'dcp_lstsq_ridge',
        1e-5,
        "damping of the least squares, relative to the mean energy of a weight's input",
        low=MIN_RIDGE,
    )

    @property
    def stage(self) -> StageSettings:
        return StageSettings(
            'dcp',
            self.num_images,
            self.num_positions,
            self.ridge,
            self.skip_first,
            self.skip_last,
            self.skip_names,
            self.dense,
            STAGE_FLAGS,
        )


LEARNERS.declare(
    'dis-chn-pruned',
    'pocketflow.learners.channel_pruning_discrimination.learner',
    LearnerDeclaration(
        'Channels chosen by the gradient of reconstruction and discrimination losses (Zhuang et al. 2018).',
        options_class=DiscriminationOptions,
        defaults=SHARED_DEFAULTS,
        refuses_after=REFUSES_AFTER,
    ),
)
