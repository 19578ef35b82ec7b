"""Options of a given network at images of any data set."""

from __future__ import annotations

from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.datasets.npz_options import NpzOptions
from pocketflow.datasets.tfrecord_options import TfrecordOptions
from pocketflow.nets.options import GIVEN, PAIRS, NetOptions, PairDeclaration
from pocketflow.utils.options import with_defaults

GivenOptions = with_defaults(
    NetOptions, 'GivenOptions', learning_rate=0.02, batch_size_norm=32.0, weight_decay=1e-4, schedule='one-cycle'
)

for name, data_options_class in (('folder', FolderOptions), ('npz', NpzOptions), ('tfrecord', TfrecordOptions)):
    PAIRS.declare(
        f'{GIVEN}_at_{name}',
        'pocketflow.nets.given',
        PairDeclaration(GivenOptions, data_options_class, needs_model=True),
    )
