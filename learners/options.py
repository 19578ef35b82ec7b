"""Options of all learners, and the registry of learners, which are loaded on demand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pocketflow.utils.options import Options, option
from pocketflow.utils.registry import Registry
from pocketflow.utils.training.options import SCHEDULES

if TYPE_CHECKING:
    from pocketflow.learners.abstract_learner import AbstractLearner


BACKBONE, NOTHING = 'backbone', 'none'
"""Values of `--freeze` that are no names of layers."""
FROZEN_CACHE_MIB = 1024


@dataclasses.dataclass(frozen=True)
class Budget:
    """The flags with which a learner keeps a budget, as in `target='50% macs'` of `pocketflow.Compressor`.

    Attributes:
      flag: takes the amount.
      others: further flags that it needs -> their values, unless others are given.
      is_share: whether the amount is a share of the uncompressed network, so that it may be given in per cent.
    """

    flag: str
    others: Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_share: bool = True


@dataclasses.dataclass(frozen=True)
class LearnerDeclaration:
    """Properties of a learner that the command line needs without importing it.

    Attributes:
      summary: one line for `--help`.
      options_class: the learner's options.
      replaced_flags: shared flag -> the learner's own flag, which takes precedence if it has a value.
      refuses_after: learners that cannot come before this one in a chain -> the reason.
      must_be_last: the reason why no learner can follow this one; None if learners can.
      may_precede: the learners that can follow it all the same.
      exports_only: the export formats that can hold the learner's model; empty for all.
      defaults: shared flag -> its default for chains with this learner.
      budgets: what the learner keeps a budget of, such as `macs` -> the flags for it.
    """

    summary: str
    options_class: type[Options] = Options
    replaced_flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    refuses_after: Mapping[str, str] = dataclasses.field(default_factory=dict)
    must_be_last: str | None = None
    may_precede: tuple[str, ...] = ()
    exports_only: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    budgets: Mapping[str, Budget] = dataclasses.field(default_factory=dict)


LEARNERS: Registry[type[AbstractLearner], LearnerDeclaration] = Registry('learner', name_attribute='name')
"""Learners by name; declared in the module of their options, and registered in the module that defines them."""


@dataclasses.dataclass(frozen=True)
class LearnerOptions(Options):
    """Options of all learners."""

    superseded = {
        'save_path_eval': 'results are in --run_dir',
        'log_dir': 'logs are in --run_dir',
        'model_http_url': 'models are trained, or given by --save_path',
    }

    save_path: str | None = option(
        'save_path',
        None,
        'trained model to compress: a .keras file, the directory of a finished run, or zoo:NAME, a model of '
        'zoo/README.md; default: one in --zoo_dir that was trained with the same flags, else train one',
        names='model',
    )
    zoo_dir: str = option('zoo_dir', 'runs', 'folder in which trained models of other runs are searched', decides=False)
    warm_start: bool = option('enbl_warm_start', False, 'full-prec: start from --save_path instead of random weights')
    freeze: str | None = option(
        'freeze',
        None,
        'full-prec: layers that are not trained: backbone: all but the last one; none; or the name of a layer: it and '
        'all that its output depends on; default: those with trainable=False in the file',
        needs='enbl_warm_start',
    )
    frozen_cache_size: int | None = option(
        'frozen_cache_mib',
        None,  # not its value: it would change the names of earlier runs
        'what frozen layers compute of the training images is kept if these are not augmented, and it takes no more '
        f'memory than so many MiB; 0: never; default: {FROZEN_CACHE_MIB}',
        low=0,
        needs='freeze',
    )
    epochs_ratio_finetune: float = option(
        'nb_epochs_rat_ft', 0.04, "fine-tuning epochs as a share of the pair's number of epochs", low=0
    )
    rate_factor_finetune: float = option(
        'lrn_rate_rat_ft', 0.2, 'fine-tuning learning rate, as a share of lrn_rate_init', above=0
    )
    decay_factor_finetune: float = option(
        'loss_w_dcy_rat_ft', 0.4, 'fine-tuning weight decay, as a share of loss_w_dcy', low=0
    )
    schedule_finetune: str | None = option(
        'lrn_rate_schedule_ft', None, 'lrn_rate_schedule of fine-tuning; default: lrn_rate_schedule', choices=SCHEDULES
    )
    batch_size_finetune: int | None = option(
        'batch_size_ft',
        None,
        'batch_size of fine-tuning; default: batch_size; smaller batches give more steps in few epochs',
        low=1,
    )
    crop_padding_finetune: int | None = option(
        'crop_padding_ft',
        None,
        'crop_padding of fine-tuning; default: crop_padding; few epochs do not suffice for large shifts',
        low=0,
    )
