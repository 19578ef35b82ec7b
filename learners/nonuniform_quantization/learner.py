"""`non-uniform`: weights from trained code books."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tf_keras as keras

from pocketflow.learners.abstract_learner import LEARNERS
from pocketflow.learners.weight_quantization.weight_bits import WeightBitsLearner, bit_search_options
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.options import option
from pocketflow.utils.quantization import FULL_BITS, MAX_CODEBOOK_BITS, codebook_variables, excluding
from pocketflow.utils.quantization.codebooks import STYLES
from pocketflow.utils.quantization.post_training import WeightFormat
from pocketflow.utils.training.trainer import TrainerParts

_Search = bit_search_options('nuql', num_tune_steps=2101)


@dataclasses.dataclass(frozen=True)
class NonUniformQuantizationOptions(_Search):
    """How large the code books are, what shares one, and what is trained."""

    superseded = {**_Search.superseded, 'nuql_save_quant_model_path': 'results are in --run_dir'}
    max_bits: ClassVar[int] = MAX_CODEBOOK_BITS

    init_style: str = option(
        'nuql_init_style',
        'quantile',
        'where the entries of code books start, before k-means '
        'improves them: at quantiles of the weights, or evenly spaced',
        choices=STYLES,
    )
    opt_mode: str = option(
        'nuql_opt_mode',
        'weights',
        'what is trained: all but the code books (weights), only the code books (cluster, clusters), or both',
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
        'bits of what activation functions put out, evenly spaced; 32: as they are',
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


@LEARNERS.register('non-uniform')
class NonUniformQuantLearner(WeightBitsLearner):
    """Trained code books (Han, Mao and Dally 2016, https://arxiv.org/abs/1510.00149, section 3).

    Each weight of a layer is the entry of a code book that is nearest to it. Code books start by k-means, and are
    trained by the summed gradients of the weights that share an entry.
    """

    name = 'non-uniform'
    options_class = NonUniformQuantizationOptions
    replaced_flags = {'nb_epochs_rat_ft': 'nuql_quant_epochs'}
    options: NonUniformQuantizationOptions

    def weight_format(self) -> WeightFormat:
        return WeightFormat('codebook', self.bucket(), start=self.options.init_style)

    def trainer_parts(self, model: keras.Model, plan: CompressionPlan | None) -> TrainerParts:
        parts, books = super().trainer_parts(model, plan), codebook_variables(model)
        match self.options.opt_mode:
            case 'weights':
                return dataclasses.replace(parts, variables=excluding(model.trainable_variables, books))
            case 'cluster' | 'clusters':
                return dataclasses.replace(parts, variables=books)
            case _:
                return parts
