"""Options of the learners for k-bit weights."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pocketflow.learners.search.options import LayerSearch, SearchedOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option, option_fields

REFUSES_AFTER = {'weight-sparse': 'its zeros are not on the grids; --learner=weight-sparse,uniform-tf keeps them'}
MUST_BE_LAST = 'any change of its weights would invalidate their codes'


class WeightBitsOptions(SearchedOptions):
    """Common options of both learners; subclasses declare the fields, with their own flags.

    Attributes:
      min_bits, max_bits: the widths that weights may have.
    """

    min_bits: ClassVar[int] = 1
    max_bits: ClassVar[int]

    weight_bits: int
    activation_bits: int
    use_buckets: bool
    bucket_size: int
    bucket_type: str
    quant_epochs: float
    quantize_all_layers: bool
    bits_plan: str | None
    enbl_search: bool
    equivalent_bits: float
    min_searched_bits: int
    max_searched_bits: int
    num_rollouts: int
    random_layers: bool
    enbl_tuning: bool
    num_tune_steps: int

    @classmethod
    def flag(cls, name: str) -> str:
        """The name of a field's flag."""
        return next(field.metadata['flag'] for field in option_fields(cls) if field.name == name)

    @property
    def searches(self) -> bool:
        return self.enbl_search and self.bits_plan is None

    def layer_search(self) -> LayerSearch:
        num_steps = self.num_tune_steps if self.enbl_tuning else 0
        return LayerSearch(self.num_rollouts, max(1, self.num_rollouts // 4), num_steps, None, self.random_layers)

    def check(self) -> None:
        low, high = self.bits_range()
        if self.enbl_search and not low <= self.min_searched_bits <= self.max_searched_bits <= high:
            raise UsageError(
                f'--{self.flag("min_searched_bits")}={self.min_searched_bits} '
                f'--{self.flag("max_searched_bits")}={self.max_searched_bits}: the bits to search must be '
                f'a range within {low} to {high}'
            )

    def bits_range(self) -> tuple[int, int]:
        """The least and the greatest number of bits per weight that these options accept."""
        return self.min_bits, self.max_bits


def bit_search_options(prefix: str, num_tune_steps: int) -> type[WeightBitsOptions]:
    """Options of the search for bits, with a learner's prefix for the flags.

    Args:
      prefix: prefix of the flags, such as `uql`.
      num_tune_steps: default number of steps of fast fine-tuning.
    """
    together = 'the layers of a candidate are tuned together'
    search, tuning = f'{prefix}_enbl_rl_agent', f'{prefix}_enbl_rl_global_tune'
    fields = [
        (
            'enbl_search',
            bool,
            option(search, False, 'search the bits of each layer, by --hp_optimizer', unless=f'{prefix}_bits_plan'),
        ),
        (
            'equivalent_bits',
            float,
            option(
                f'{prefix}_equivalent_bits',
                4.0,
                'budget of the search: mean bits per weight',
                low=1,
                needs=search,
                unless='hpo_max_bytes',
            ),
        ),
        (
            'min_searched_bits',
            int,
            option(f'{prefix}_w_bit_min', 2, 'fewest bits of a layer in the search', low=1, needs=search),
        ),
        (
            'max_searched_bits',
            int,
            option(f'{prefix}_w_bit_max', 8, 'most bits of a layer in the search', low=1, needs=search),
        ),
        ('num_rollouts', int, option(f'{prefix}_nb_rlouts', 200, 'trials of the search', low=1, needs=search)),
        (
            'random_layers',
            bool,
            option(
                f'{prefix}_enbl_random_layers',
                True,
                'ddpg visits the layers in another order in each roll-out',
                needs=f'{search} hp_optimizer=ddpg',
            ),
        ),
        ('enbl_tuning', bool, option(tuning, True, 'tune each trial before it is evaluated', needs=search)),
        (
            'num_tune_steps',
            int,
            option(
                f'{prefix}_tune_global_steps',
                num_tune_steps,
                'steps of fast fine-tuning per trial',
                low=0,
                needs=f'{search} {tuning}',
            ),
        ),
    ]
    superseded = {
        f'{prefix}_tune_layerwise_steps': together,
        f'{prefix}_tune_disp_steps': 'there is one line per trial',
        f'{prefix}_tune_save_path': 'trials are not saved; their journal is in --run_dir',
    }
    return dataclasses.make_dataclass(
        'BitSearchOptions',
        fields,
        bases=(WeightBitsOptions,),
        frozen=True,
        namespace={
            'search_flag': f'--{search}',
            'fixed_flag': f'--no{search}',
            'superseded': superseded,
            'superseded_switches': {f'{prefix}_enbl_rl_layerwise_tune': together},
            '__doc__': 'Options of the search for the bits of each layer.',
        },
    )
