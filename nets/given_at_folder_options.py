"""Options of a given network at a folder of images."""

from __future__ import annotations

from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.nets.options import PAIRS, NetOptions, PairDeclaration
from pocketflow.utils.options import with_defaults

GivenAtFolderOptions = with_defaults(
    NetOptions,
    'GivenAtFolderOptions',
    learning_rate=0.02,
    batch_size_norm=32.0,
    weight_decay=1e-4,
    schedule='one-cycle',
)

PAIRS.declare(
    'given_at_folder',
    'pocketflow.nets.given_at_folder',
    PairDeclaration(GivenAtFolderOptions, FolderOptions, needs_model=True),
)
