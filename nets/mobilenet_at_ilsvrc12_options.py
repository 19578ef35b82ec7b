"""Options of MobileNets at ILSVRC-12."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.nets.options import PAIRS, NetOptions, PairDeclaration
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option, with_defaults

if TYPE_CHECKING:
    from pocketflow.nets.options import NetOptions as _Base
else:
    _Base = with_defaults(NetOptions, '_Base', learning_rate=0.045, batch_size_norm=96.0, weight_decay=4e-5)
PRETRAINED_MULTIPLIERS = {1: (0.25, 0.5, 0.75, 1.0), 2: (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)}
"""Version -> depth multipliers of which tf_keras.applications has weights."""


@dataclasses.dataclass(frozen=True)
class MobilenetAtIlsvrc12Options(_Base):
    """The training options, version and width."""

    version: int = option('mobilenet_version', 1, '1 or 2', low=1, high=2)
    depth_multiplier: float = option('mobilenet_depth_mult', 1.0, 'factor on the number of filters', above=0, high=4)
    pretrained: str | None = option(
        'pretrained',
        None,
        'keras_applications: begin with the ImageNet weights of tf_keras.applications',
        choices=('keras_applications',),
    )

    def check(self) -> None:
        known = PRETRAINED_MULTIPLIERS[self.version]
        if self.pretrained is not None and self.depth_multiplier not in known:
            raise UsageError(
                f'--pretrained={self.pretrained}: there are weights of --mobilenet_version={self.version} with '
                f'--mobilenet_depth_mult={", ".join(map(str, known))}, not {self.depth_multiplier}'
            )


PAIRS.declare(
    'mobilenet_at_ilsvrc12',
    'pocketflow.nets.mobilenet_at_ilsvrc12',
    PairDeclaration(MobilenetAtIlsvrc12Options, Ilsvrc12Options),
)
