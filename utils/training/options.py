"""Options of the training loop and of distillation."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.options import Options, option

COMPUTE_DTYPES = ('auto', 'float32', 'bfloat16')
SCHEDULES = ('piecewise', 'one-cycle')
"""Learning-rate schedules."""


@dataclasses.dataclass(frozen=True)
class TrainerOptions(Options):
    """Logging, checkpoints and precision of training."""

    summary_step: int = option('summ_step', 100, 'report and log every this many steps', low=1, decides=False)
    save_step: int = option('save_step', 1000, 'write a checkpoint every this many steps', low=1, decides=False)
    compute_dtype: str = option('compute_dtype', 'auto', 'auto: bfloat16 where it is faster', choices=COMPUTE_DTYPES)


@dataclasses.dataclass(frozen=True)
class DistillationOptions(Options):
    """Distillation from a teacher network."""

    enabled: bool = option('enbl_dst', False, 'add the distillation loss; default: on for channel pruners')
    weight: float = option('loss_w_dst', 4.0, 'weight of the distillation loss', low=0, needs='enbl_dst')
    temperature: float = option('tempr_dst', 4.0, 'temperature of the softened predictions', above=0, needs='enbl_dst')
    teacher_path: str | None = option(
        'save_path_dst',
        None,
        'saved model of another teacher; default: the uncompressed model',
        needs='enbl_dst',
        names='model',
    )
