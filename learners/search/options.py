"""What can be set about a learner's own search for one value per layer."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.options import Options


@dataclasses.dataclass(frozen=True)
class LayerSearch:
    """How a learner searches for its values per layer.

    Attributes:
      num_rollouts, num_rollouts_min, random_layers: as in `SearchSettings`.
      num_steps: steps of fast fine-tuning per trial, of all workers that share one together.
      num_eval_batches: batches of held-out samples that judge a trial; None for all.
    """

    num_rollouts: int
    num_rollouts_min: int
    num_steps: int
    num_eval_batches: int | None = None
    random_layers: bool = False


@dataclasses.dataclass(frozen=True)
class SearchedOptions(Options):
    """Options of a learner whose values per layer can be searched."""

    @property
    def searches(self) -> bool:
        """Whether they are."""
        return False

    def layer_search(self) -> LayerSearch:
        """How many roll-outs there are, and how long a candidate is tuned."""
        raise NotImplementedError
