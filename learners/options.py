"""What can be set about every learner, and what the command line knows of each of them before it is loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pocketflow.utils.options import Options, option
from pocketflow.utils.registry import Registry

if TYPE_CHECKING:
    from pocketflow.learners.abstract_learner import AbstractLearner


@dataclasses.dataclass(frozen=True)
class LearnerDeclaration:
    """What the command line knows of a learner.

    Attributes:
      summary: one line for `--help`.
      options_class: the learner's own options.
      replaced_flags: flags of all learners -> the flag that this one goes by instead, where that has a value.
      refuses_after: learners whose work this one would undo, and how.
      must_be_last: why no learner can follow this one, if none can.
    """

    summary: str
    options_class: type[Options] = Options
    replaced_flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    refuses_after: Mapping[str, str] = dataclasses.field(default_factory=dict)
    must_be_last: str | None = None


LEARNERS: Registry[type[AbstractLearner], LearnerDeclaration] = Registry('learner', name_attribute='name')
"""Learners by name; each is declared beside its options, and registered where it is defined."""


@dataclasses.dataclass(frozen=True)
class LearnerOptions(Options):
    """What all learners share."""

    superseded = {
        'save_path_eval': 'results are in --run_dir',
        'log_dir': 'logs are in --run_dir',
        'model_http_url': 'models are trained, or given by --save_path',
    }

    save_path: str | None = option(
        'save_path',
        None,
        'trained model to compress: a .keras file or the directory of a '
        'finished run; default: one in --zoo_dir that was trained alike, else train one',
        names='model',
    )
    zoo_dir: str = option('zoo_dir', 'runs', 'where models that other runs have trained are looked for', decides=False)
    warm_start: bool = option('enbl_warm_start', False, 'full-prec: start from --save_path instead of random weights')
    epochs_ratio_finetune: float = option(
        'nb_epochs_rat_ft', 0.04, "fine-tuning epochs as a share of the pair's own number of epochs", low=0
    )
    rate_factor_finetune: float = option(
        'lrn_rate_rat_ft', 0.2, 'fine-tuning learning rate, as a share of lrn_rate_init', above=0
    )
    decay_factor_finetune: float = option(
        'loss_w_dcy_rat_ft', 0.4, 'fine-tuning weight decay, as a share of loss_w_dcy', low=0
    )
    batch_size_finetune: int | None = option(
        'batch_size_ft', None, "batch_size of fine-tuning; default: the training's; few epochs want more steps", low=1
    )
    crop_padding_finetune: int | None = option(
        'crop_padding_ft',
        None,
        "crop_padding of fine-tuning; default: the training's; few epochs do not suffice for large shifts",
        low=0,
    )
