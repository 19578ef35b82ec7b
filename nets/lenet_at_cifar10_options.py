"""Options of LeNet at CIFAR-10."""

from __future__ import annotations

from pocketflow.datasets.cifar10_options import Cifar10Options
from pocketflow.nets.options import PAIRS, NetOptions, PairDeclaration
from pocketflow.utils.options import with_defaults

LenetAtCifar10Options = with_defaults(NetOptions, 'LenetAtCifar10Options', learning_rate=0.01, weight_decay=5e-4)

PAIRS.declare(
    'lenet_at_cifar10', 'pocketflow.nets.lenet_at_cifar10', PairDeclaration(LenetAtCifar10Options, Cifar10Options)
)
