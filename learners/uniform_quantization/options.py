"""Options of quantization on evenly spaced grids."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from pocketflow.learners.options import LEARNERS, Budget, LearnerDeclaration
from pocketflow.learners.weight_quantization.options import MUST_BE_LAST, REFUSES_AFTER, bit_search_options
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option
from pocketflow.utils.quantization.limits import FULL_BITS, MAX_WEIGHT_BITS, SYMMETRIC_BITS

if TYPE_CHECKING:  # what the function below returns is a subclass
    from pocketflow.learners.weight_quantization.options import WeightBitsOptions as _Search
else:
    _Search = bit_search_options('uql', num_tune_steps=2000)


@dataclasses.dataclass(frozen=True)
class UniformQuantizationOptions(_Search):
    """Bit widths of weights and activations, and sharing of grids."""

    superseded = {**_Search.superseded, 'uql_save_quant_model_path': 'results are in --run_dir'}
    max_bits: ClassVar[int] = MAX_WEIGHT_BITS

    weight_bits: int = option(
        'uql_weight_bits', 4, 'bits of the weights', low=1, high=MAX_WEIGHT_BITS, unless='uql_enbl_rl_agent'
    )
    activation_bits: int = option(
        'uql_activation_bits',
        32,
        'bits of the outputs of activation functions; 32: not quantized',
        low=2,
        high=FULL_BITS,
    )
    use_buckets: bool = option('uql_use_buckets', False, 'a grid per bucket instead of one per layer')
    bucket_size: int = option(
        'uql_bucket_size', 256, 'weights per bucket of type split', low=2, needs='uql_use_buckets uql_bucket_type=split'
    )
    bucket_type: str = option(
        'uql_bucket_type',
        'channel',
        'channel: one bucket per output channel; split: runs of uql_bucket_size weights',
        choices=('channel', 'split'),
        needs='uql_use_buckets',
    )
    quant_epochs: float = option('uql_quant_epochs', 60.0, 'epochs of training with simulated quantization', low=0)
    quantize_all_layers: bool = option('uql_quantize_all_layers', False, 'also quantize the first and the last layer')
    symmetric: bool = option(
        'uql_symmetric',
        False,
        'symmetric grids around zero, one per output channel, as in '
        f'TFLite; weights of {SYMMETRIC_BITS[0]} to {SYMMETRIC_BITS[1]} bits',
    )
    bits_plan: str | None = option(
        'uql_bits_plan',
        None,
        'plan.json with the bits of the weights of each layer, or '
        'the run directory that holds one; layers that it does not name get '
        'uql_weight_bits',
        names='plan',
    )

    def bits_range(self) -> tuple[int, int]:
        return SYMMETRIC_BITS if self.symmetric else super().bits_range()

    def check(self) -> None:
        super().check()
        low, high = self.bits_range()
        if not low <= self.weight_bits <= high:
            raise UsageError(f'--uql_weight_bits={self.weight_bits}: with --uql_symmetric it must be {low} to {high}')
        if self.symmetric and self.use_buckets and self.bucket_type != 'channel':
            raise UsageError(
                f'--uql_bucket_type={self.bucket_type}: --uql_symmetric has one grid per output channel; '
                'drop one of the two'
            )


LEARNERS.declare(
    'uniform',
    'pocketflow.learners.uniform_quantization.learner',
    LearnerDeclaration(
        'Uniform quantization with the straight-through estimator (Jacob et al. 2018; Bengio et al. 2013).',
        options_class=UniformQuantizationOptions,
        replaced_flags={'nb_epochs_rat_ft': 'uql_quant_epochs'},
        refuses_after=REFUSES_AFTER,
        must_be_last=MUST_BE_LAST,
        budgets={'bits': Budget('uql_weight_bits', is_share=False)},
    ),
)
