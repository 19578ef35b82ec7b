"""Declaration of `full-prec`, which has no flags of its own: its training is set by the pair's flags."""

from __future__ import annotations

from pocketflow.learners.options import LEARNERS, LearnerDeclaration

LEARNERS.declare(
    'full-prec',
    'pocketflow.learners.full_precision.learner',
    LearnerDeclaration(
        'Ordinary training from random weights, or with `enbl_warm_start` from a given model.',
        replaced_flags={
            'nb_epochs_rat_ft': 'nb_epochs_rat',
            'lrn_rate_rat_ft': 'lrn_rate_init',
            'loss_w_dcy_rat_ft': 'loss_w_dcy',
            'batch_size_ft': 'batch_size',
            'crop_padding_ft': 'crop_padding',
        },
    ),
)
