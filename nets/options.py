"""What can be set about every network, and what the command line knows of each pair before it is loaded."""

from __future__ import annotations

import dataclasses

from pocketflow.datasets.options import DatasetOptions
from pocketflow.utils.options import Options, option
from pocketflow.utils.registry import Registry


@dataclasses.dataclass(frozen=True)
class NetOptions(Options):
    """How a network is trained on its data set."""

    epochs_ratio: float = option('nb_epochs_rat', 1.0, "factor on the pair's own number of epochs", above=0)
    learning_rate: float = option(
        'lrn_rate_init', 0.1, 'initial (peak) learning rate, meant for batch_size_norm samples per step', above=0
    )
    schedule: str = option(
        'lrn_rate_schedule',
        'piecewise',
        "piecewise: the pair's published steps; one-cycle: warm-up and cosine, better for short training",
        choices=('piecewise', 'one-cycle'),
    )
    batch_size_norm: float = option('batch_size_norm', 128.0, 'batch size that lrn_rate_init is meant for', above=0)
    momentum: float = option('momentum', 0.9, 'momentum of SGD', low=0, high=1)
    weight_decay: float = option('loss_w_dcy', 2e-4, 'factor on half the squared norm of all kernels', low=0)


@dataclasses.dataclass(frozen=True)
class PairDeclaration:
    """What the command line knows of a model/dataset pair: its options.

    Attributes:
      net_options_class: how the network is trained on the data set.
      data_options_class: of the data set.
      needs_model: whether its network is the one at `--save_path`, so that it cannot be trained from the start.
    """

    net_options_class: type[NetOptions]
    data_options_class: type[DatasetOptions]
    needs_model: bool = False


GIVEN = 'given'
"""The model of pairs whose network comes from a file; it goes without saying if no `--model` is given."""

PAIRS: Registry[PairDeclaration] = Registry('model/dataset pair')
"""Pairs by name, `<model>_at_<dataset>`; each of the tree is declared with its options, and registered where it is
defined. Users' own pairs are only registered."""
