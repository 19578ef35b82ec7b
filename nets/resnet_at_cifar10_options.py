"""Options of ResNets at CIFAR-10."""

from __future__ import annotations

import dataclasses

from pocketflow.datasets.cifar10_options import Cifar10Options
from pocketflow.nets.options import PAIRS, NetOptions, PairDeclaration
from pocketflow.nets.resnet_sizes import blocks_per_group
from pocketflow.utils.options import option


@dataclasses.dataclass(frozen=True)
class ResnetAtCifar10Options(NetOptions):
    """The training options, and the depth."""

    size: int = option('resnet_size', 20, 'number of layers, 6n + 2: 20, 32, 44, 56, 110')

    def check(self) -> None:
        blocks_per_group(self.size)


PAIRS.declare(
    'resnet_at_cifar10', 'pocketflow.nets.resnet_at_cifar10', PairDeclaration(ResnetAtCifar10Options, Cifar10Options)
)
