"""Settings of the stage that all channel pruners share. Each learner has flags of its own for them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pocketflow.learners.search.options import SearchedOptions

MIN_RIDGE = 1e-10
"""Least damping: below the rounding errors of thousands of summed squares, equations of few samples may be singular."""


@dataclasses.dataclass(frozen=True)
class StageFlags:
    """Names of the flags, without dashes, that set the settings of the stage; None if a learner has no such flag.

    Attributes:
      num_images: the flag for the number of images.
      images_per_unit: number of images for one unit of this flag, which may count batches.
    """

    num_images: str
    skip_first: str | None = None
    skip_last: str | None = None
    skip_names: str | None = None
    dense: str | None = None
    images_per_unit: int = 1


@dataclasses.dataclass(frozen=True)
class StageSettings:
    """Which layers are pruned, how their channels are chosen, and on how many samples their weights are re-fitted.

    Attributes:
      selector: how channels are chosen, one of `choices.SELECTORS`.
      num_images: training images for selection and re-fitting.
      num_positions: sampled output positions per image and layer.
      ridge: damping of the least squares, relative to the mean energy of a weight's input.
      skip_first, skip_last: whether the first and the last convolution are excluded.
      skip_names: parts of the names of excluded layers, separated by commas.
      dense: which dense layers are pruned, one of `choices.DENSE_LAYERS`.
      flags: the flags of these settings, for messages.
    """

    selector: str
    num_images: int
    num_positions: int
    ridge: float
    skip_first: bool
    skip_last: bool
    skip_names: str | None
    dense: str
    flags: StageFlags


@dataclasses.dataclass(frozen=True)
class CurveFlags:
    """Names of the flags, without dashes, of `CurveSettings`, for messages; `selector` may be None."""

    share: str
    curves: str
    selector: str | None


@dataclasses.dataclass(frozen=True)
class CurveSettings:
    """Distribution of a budget over the layers by sensitivity curves.

    Attributes:
      method: one of `choices.CURVE_METHODS`.
      kind: what the budget is of, one of `choices.BUDGETS`.
      share: the budget, as a share of the cost of the whole network.
      curves: file of curves that were measured before, or the directory of their run; None to measure them.
      flags: the flags of these settings.
    """

    method: str
    kind: str
    share: float
    curves: str | None
    flags: CurveFlags


@dataclasses.dataclass(frozen=True)
class ChannelPrunerOptions(SearchedOptions):
    """Options of a channel pruner; subclasses declare the flags.

    Attributes:
      budget_flag: the flag of `macs_share`, without dashes, for messages.
    """

    budget_flag: ClassVar[str]

    @property
    def stage(self) -> StageSettings:
        raise NotImplementedError

    @property
    def multiple(self) -> int:
        """Numbers of kept channels are multiples of this."""
        return 1

    @property
    def by_curves(self) -> CurveSettings | None:
        """How the budget is distributed by sensitivity curves; None if it is not."""
        return None

    @property
    def holds_out(self) -> bool:
        return self.searches or self.by_curves is not None

    @property
    def macs_share(self) -> float:
        """The budget of a search, as a share of the multiply-adds."""
        raise NotImplementedError
