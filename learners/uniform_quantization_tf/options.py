"""Options of quantization-aware training for int8 files."""

from __future__ import annotations

import dataclasses

from pocketflow.learners.options import LEARNERS, LearnerDeclaration
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option

INT8_BITS = 8


@dataclasses.dataclass(frozen=True)
class UniformQuantizationTFOptions(Options):
    """Simulation of int8 arithmetic in training."""

    superseded = {
        'uqtf_save_path': 'results are in --run_dir',
        'uqtf_save_path_eval': 'results are in --run_dir',
        'uqtf_save_path_probe': 'there is nothing to probe for',
        'uqtf_save_path_probe_eval': 'there is nothing to probe for',
    }
    superseded_switches = {'uqtf_enbl_manual_quant': 'every tensor that the int8 file writes gets its range'}

    weight_bits: int = option(
        'uqtf_weight_bits', INT8_BITS, 'bits of the weights; fewer than 8 are stored in 8', low=2, high=INT8_BITS
    )
    activation_bits: int = option('uqtf_activation_bits', INT8_BITS, 'bits of the activations: 8')
    quant_delay: int = option('uqtf_quant_delay', 0, 'training steps before fake quantization starts', low=0)
    freeze_bn_delay: int | None = option(
        'uqtf_freeze_bn_delay',
        None,
        'training steps after which the moving statistics of batch norms are frozen; default: never',
        low=0,
    )
    rate_factor: float = option('uqtf_lrn_rate_dcy', 1e-2, 'learning rate, as a share of lrn_rate_init', above=0)
    quant_epochs: float | None = option(
        'uqtf_quant_epochs', None, 'epochs of training; default: set by nb_epochs_rat_ft', low=0
    )
    num_images: int = option('uqtf_nb_smpls', 500, 'training images for the calibration of activation ranges', low=1)

    def check(self) -> None:
        if self.activation_bits != INT8_BITS:
            raise UsageError(
                f'--uqtf_activation_bits={self.activation_bits}: the file computes with activations of '
                f'{INT8_BITS} bits; give {INT8_BITS}, or choose --learner=uniform --uql_activation_bits='
                f'{self.activation_bits}, which simulates other widths'
            )


LEARNERS.declare(
    'uniform-tf',
    'pocketflow.learners.uniform_quantization_tf.learner',
    LearnerDeclaration(
        'Quantization-aware training (Jacob et al. 2018) by TensorFlow Model Optimization.',
        options_class=UniformQuantizationTFOptions,
        replaced_flags={'nb_epochs_rat_ft': 'uqtf_quant_epochs', 'lrn_rate_rat_ft': 'uqtf_lrn_rate_dcy'},
        refuses_after=dict.fromkeys(
            ('uniform', 'non-uniform'),
            'it quantizes all weights to int8, so the codes of the learner before would be lost',
        ),
        must_be_last='its model holds the ranges of its int8 file, which any change of the weights would invalidate',
        exports_only=('int8',),
    ),
)
