"""Options of all networks, and the registry of model/dataset pairs, which are loaded on demand."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pocketflow.datasets.options import DatasetOptions
from pocketflow.utils.options import Options, option
from pocketflow.utils.registry import Registry
from pocketflow.utils.training.options import SCHEDULES

if TYPE_CHECKING:
    from pocketflow.nets.abstract_model_helper import AbstractModelHelper


OPTIMIZERS = ('sgd', 'adam', 'adamw', 'lamb')


@dataclasses.dataclass(frozen=True)
class NetOptions(Options):
    """Training of a network on its data set."""

    epochs_ratio: float = option('nb_epochs_rat', 1.0, "factor on the pair's number of epochs", above=0)
    learning_rate: float = option(
        'lrn_rate_init', 0.1, 'initial (peak) learning rate, for batch_size_norm samples per step', above=0
    )
    schedule: str = option(
        'lrn_rate_schedule',
        'piecewise',
        "piecewise: the pair's published steps; one-cycle: warm-up and cosine, better for short training",
        choices=SCHEDULES,
    )
    batch_size_norm: float = option('batch_size_norm', 128.0, 'batch size for which lrn_rate_init is given', above=0)
    optimizer: str | None = option(
        'optimizer',
        None,  # not its value: it would change the names of earlier runs
        'sgd with momentum; adam; adamw and lamb: with decoupled weight decay; they need smaller learning rates; '
        'default: sgd',
        choices=OPTIMIZERS,
    )
    momentum: float = option(
        'momentum', 0.9, 'momentum of SGD', low=0, high=1, unless='optimizer=adam optimizer=adamw optimizer=lamb'
    )
    weight_decay: float = option('loss_w_dcy', 2e-4, 'factor on half the squared norm of all kernels', low=0)


@dataclasses.dataclass(frozen=True)
class PairDeclaration:
    """Options of a model/dataset pair, available without importing the pair.

    Attributes:
      net_options_class: options of the network and its training.
      data_options_class: options of the data set.
      needs_model: whether its network is the one at `--save_path`, so that it cannot be trained from scratch.
    """

    net_options_class: type[NetOptions]
    data_options_class: type[DatasetOptions]
    needs_model: bool = False


GIVEN = 'given'
"""Model name of pairs whose network comes from a file; the default if no `--model` is given."""

PAIRS: Registry[type[AbstractModelHelper], PairDeclaration] = Registry('model/dataset pair')
"""Pairs by name, `<model>_at_<dataset>`. Those of this project are declared with their options and registered in the
module that defines them; users' own pairs are only registered."""
