"""Options of quantization with code books."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from pocketflow.learners.options import LEARNERS, Budget, LearnerDeclaration
from pocketflow.learners.weight_quantization.options import MUST_BE_LAST, REFUSES_AFTER, bit_search_options
from pocketflow.utils.options import option
from pocketflow.utils.quantization.limits import CODEBOOK_STYLES, FULL_BITS, MAX_CODEBOOK_BITS

if TYPE_CHECKING:  # what the function below returns is a subclass
    from pocketflow.learners.weight_quantization.options import WeightBitsOptions as _Search
else:
    _Search = bit_search_options('nuql', num_tune_steps=2101)


@dataclasses.dataclass(frozen=True)
class NonUniformQuantizationOptions(_Search):
    """Size, sharing and training of the code books."""

    superseded = {**_Search.superseded, 'nuql_save_quant_model_path': 'results are in --run_dir'}
    max_bits: ClassVar[int] = MAX_CODEBOOK_BITS

    init_style: str = option(
        'nuql_init_style',
        'quantile',
        'initial entries of the code books, before k-means: quantiles of the weights, or evenly spaced values',
        choices=CODEBOOK_STYLES,
    )
    opt_mode: str = option(
        'nuql_opt_mode',
        'weights',
        'trained variables: all but the code books (weights), only the code books (cluster, clusters), or both',
        choices=('weights', 'cluster', 'clusters', 'both'),
    )
    weight_bits: int = option(
        'nuql_weight_bits',
        4,
        'bits of the weights; a code book has 2^bits entries',
        low=1,
        high=MAX_CODEBOOK_BITS,
        unless='nuql_enbl_rl_agent',
    )
    activation_bits: int = option(
        'nuql_activation_bits',
        32,
        'bits of the outputs of activation functions, evenly spaced; 32: not quantized',
        low=2,
        high=FULL_BITS,
    )
    use_buckets: bool = option('nuql_use_buckets', False, 'a code book per bucket instead of one per layer')
    bucket_size: int = option(
        'nuql_bucket_size',
        256,
        'weights per bucket of type split',
        low=2,
        needs='nuql_use_buckets nuql_bucket_type=split',
    )
    bucket_type: str = option(
        'nuql_bucket_type',
        'split',
        'channel: one bucket per output channel; split: runs of nuql_bucket_size weights',
        choices=('channel', 'split'),
        needs='nuql_use_buckets',
    )
    quant_epochs: float = option('nuql_quant_epochs', 60.0, 'epochs of training with simulated quantization', low=0)
    quantize_all_layers: bool = option('nuql_quantize_all_layers', False, 'also quantize the first and the last layer')
    bits_plan: str | None = option(
        'nuql_bits_plan',
        None,
        'plan.json with the bits of the weights of each layer, or '
        'the run directory that holds one; layers that it does not name get '
        'nuql_weight_bits',
        names='plan',
    )


LEARNERS.declare(
    'non-uniform',
    'pocketflow.learners.nonuniform_quantization.learner',
    LearnerDeclaration(
        'Trained code books (Han, Mao and Dally 2016, https://arxiv.org/abs/1510.00149, section 3).',
        options_class=NonUniformQuantizationOptions,
        replaced_flags={'nb_epochs_rat_ft': 'nuql_quant_epochs'},
        refuses_after=REFUSES_AFTER,
        must_be_last=MUST_BE_LAST,
        budgets={'bits': Budget('nuql_weight_bits', is_share=False)},
    ),
)
