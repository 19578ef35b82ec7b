"""Options of ResNets at ILSVRC-12."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.nets.options import PAIRS, NetOptions, PairDeclaration
from pocketflow.nets.resnet_sizes import blocks_of_groups, has_bottlenecks
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option, with_defaults

if TYPE_CHECKING:
    from pocketflow.nets.options import NetOptions as _Base
else:
    _Base = with_defaults(NetOptions, '_Base', learning_rate=0.1, batch_size_norm=256.0, weight_decay=1e-4)


@dataclasses.dataclass(frozen=True)
class ResnetAtIlsvrc12Options(_Base):
    """The training options, depth and form of the blocks."""

    size: int = option('resnet_size', 18, 'number of layers: 18, 34, 50, 101, 152, 200')
    version: str = option(
        'resnet_version',
        '2',
        '1: as of 2015; 1.5: the stride of bottlenecks in their 3x3 convolution; 2: batch norm and ReLU before '
        'convolutions, as in the original program',
        choices=('1', '1.5', '2'),
    )
    pretrained: str | None = option(
        'pretrained',
        None,
        'keras_applications: begin with the ImageNet weights of tf_keras.applications (sizes 50, 101, 152 of versions '
        '1 and 2), in its form of the network',
        choices=('keras_applications',),
    )

    def check(self) -> None:
        blocks_of_groups(self.size)
        if self.pretrained is not None and (
            self.version == '1.5' or not has_bottlenecks(self.size) or self.size == 200
        ):
            raise UsageError(
                f'--pretrained={self.pretrained}: there are weights of --resnet_size=50, 101 and 152 with '
                f'--resnet_version=1 and 2, not of {self.size} with {self.version}'
            )


PAIRS.declare(
    'resnet_at_ilsvrc12',
    'pocketflow.nets.resnet_at_ilsvrc12',
    PairDeclaration(ResnetAtIlsvrc12Options, Ilsvrc12Options),
)
