"""Options of LeNet at digits."""

from __future__ import annotations

from pocketflow.datasets.digits_options import DigitsOptions
from pocketflow.nets.options import PAIRS, NetOptions, PairDeclaration
from pocketflow.utils.options import with_defaults

LenetAtDigitsOptions = with_defaults(
    NetOptions, 'LenetAtDigitsOptions', learning_rate=0.2, weight_decay=5e-4, schedule='one-cycle'
)

PAIRS.declare(
    'lenet_at_digits', 'pocketflow.nets.lenet_at_digits', PairDeclaration(LenetAtDigitsOptions, DigitsOptions)
)
