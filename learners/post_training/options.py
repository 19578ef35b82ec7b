"""Options of post-training quantization."""

from __future__ import annotations

import dataclasses

from pocketflow.learners.options import LEARNERS, Budget, LearnerDeclaration
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option

MIXED = 'mixed'
CALIBRATIONS = ('minmax', 'percentile', 'mse')
NEAREST, ADAROUND = 'nearest', 'adaround'
ROUNDINGS = (NEAREST, ADAROUND)
"""Rounding of weights; values of `--ptq_rounding`."""


@dataclasses.dataclass(frozen=True)
class PostTrainingOptions(Options):
    """Rounding of weights and activations without training."""

    weight_bits: str = option(
        'ptq_weight_bits',
        '8',
        'bits of the weights; mixed: 4 or 8 in each layer, by measured sensitivities and ptq_max_bytes',
        choices=('8', '4', MIXED),
    )
    rounding: str | None = option(
        'ptq_rounding',
        None,
        'rounding of weights; default: adaround (Nagel et al. 2020) with fewer than 8 bits, else nearest',
        choices=ROUNDINGS,
    )
    equalize: bool = option(
        'ptq_equalize', False, 'equalize the ranges of channels across consecutive layers (Nagel et al. 2019)'
    )
    bias_correction: bool = option(
        'ptq_bias_correction', True, 'correct the mean output of each layer on the training images'
    )
    calibration: str = option('ptq_calibration', 'mse', 'choice of the ranges of activations', choices=CALIBRATIONS)
    num_images: int = option('ptq_nb_smpls', 1024, 'training images, without labels, that are looked at', low=1)
    num_iterations: int = option(
        'ptq_nb_iters', 2000, 'steps of adaround per layer', low=1, unless='ptq_rounding=nearest'
    )
    max_bytes: int | None = option(
        'ptq_max_bytes', None, 'greatest size of the mixed file, in bytes', low=1, needs='ptq_weight_bits=mixed'
    )
    quantize_ends: bool = option(
        'ptq_enbl_ends', False, 'also give the first and the last layer fewer than 8 bits', unless='ptq_weight_bits=8'
    )

    def check(self) -> None:
        if self.weight_bits == MIXED and self.max_bytes is None:
            raise UsageError('--ptq_weight_bits=mixed: give the size of the file, in bytes, by --ptq_max_bytes')


LEARNERS.declare(
    'post-training',
    'pocketflow.learners.post_training.learner',
    LearnerDeclaration(
        'Post-training quantization in minutes, without labels (Nagel et al. 2019, 2020).',
        options_class=PostTrainingOptions,
        refuses_after=dict.fromkeys(
            ('uniform', 'non-uniform'), 'it chooses the weights anew, so the codes of the learner before would be lost'
        ),
        must_be_last='its model holds the rounding and the ranges of its file, which any change would invalidate',
        may_precede=('uniform-tf',),
        exports_only=('int8', 'mixed'),
        budgets={
            'bits': Budget('ptq_weight_bits', is_share=False),
            'bytes': Budget('ptq_max_bytes', {'ptq_weight_bits': 'mixed'}, is_share=False),
        },
    ),
)
