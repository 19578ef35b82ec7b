"""Options of a learner's search for one value per layer."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pocketflow.utils.options import Options


@dataclasses.dataclass(frozen=True)
class LayerSearch:
    """Settings of a learner's search for its values per layer.

    Attributes:
      num_rollouts, num_rollouts_min, random_layers: as in `SearchSettings`.
      num_steps: fine-tuning steps per trial, summed over the workers that share a trial.
      num_eval_batches: batches of held-out samples on which a trial is evaluated; None for all.
    """

    num_rollouts: int
    num_rollouts_min: int
    num_steps: int
    num_eval_batches: int | None = None
    random_layers: bool = False


@dataclasses.dataclass(frozen=True)
class SearchedOptions(Options):
    """Options of a learner whose values per layer can be searched.

    Attributes:
      search_flag: the flag that turns the search on, for messages; empty if there is none.
      fixed_flag: the flag that sets the values by a rule instead, for messages.
    """

    search_flag: ClassVar[str] = ''
    fixed_flag: ClassVar[str]

    @property
    def searches(self) -> bool:
        """Whether the values per layer are searched with these options."""
        return False

    def layer_search(self) -> LayerSearch:
        """Number of roll-outs, and length of the fine-tuning of a candidate."""
        raise NotImplementedError
