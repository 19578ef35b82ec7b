"""Options of a given network at images of any data set."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.datasets.npz_options import NpzOptions
from pocketflow.datasets.tfrecord_options import TfrecordOptions
from pocketflow.nets.options import GIVEN, PAIRS, NetOptions, PairDeclaration
from pocketflow.utils.options import option, with_defaults

if TYPE_CHECKING:
    from pocketflow.nets.options import NetOptions as _Base
else:
    _Base = with_defaults(
        NetOptions, '_Base', learning_rate=0.02, batch_size_norm=32.0, weight_decay=1e-4, schedule='one-cycle'
    )
GIVEN_TASKS = ('classification', 'multi-label', 'regression')


@dataclasses.dataclass(frozen=True)
class GivenOptions(_Base):
    """Training of a given network."""

    task: str | None = option(
        'task',
        None,
        'what the labels of arrays and records mean: class numbers, 0 or 1 for each class, or any numbers; default: '
        'classification; with --labels=none what the outputs mean, default: by the last layer',
        choices=GIVEN_TASKS,
    )


for name, data_options_class in (
    ('folder', FolderOptions),
    ('npz', NpzOptions),
    ('tfrecord', TfrecordOptions),
    ('ilsvrc12', Ilsvrc12Options),
):
    PAIRS.declare(
        f'{GIVEN}_at_{name}',
        'pocketflow.nets.given',
        PairDeclaration(GivenOptions, data_options_class, needs_model=True),
    )
