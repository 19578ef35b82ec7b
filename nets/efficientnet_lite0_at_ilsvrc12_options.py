"""Options of EfficientNet-Lite0 at ILSVRC-12."""

from __future__ import annotations

from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.nets.options import PAIRS, NetOptions, PairDeclaration
from pocketflow.utils.options import with_defaults

EfficientnetLite0AtIlsvrc12Options = with_defaults(
    NetOptions,
    'EfficientnetLite0AtIlsvrc12Options',
    learning_rate=0.1,
    batch_size_norm=256.0,
    weight_decay=1e-5,
    schedule='one-cycle',
)
# Pixels as (x - 127) / 128, as its published weights take them.
EfficientnetLite0DataOptions = with_defaults(
    Ilsvrc12Options, 'EfficientnetLite0DataOptions', preprocessing='inception', scale='none', mean='127', std='128'
)

PAIRS.declare(
    'efficientnet_lite0_at_ilsvrc12',
    'pocketflow.nets.efficientnet_lite0_at_ilsvrc12',
    PairDeclaration(EfficientnetLite0AtIlsvrc12Options, EfficientnetLite0DataOptions),
)
