"""Options of distributed training."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.options import Options, option


@dataclasses.dataclass(frozen=True)
class MultiGpuOptions(Options):
    """Whether this process is one of several workers."""

    enabled: bool = option(
        'enbl_multi_gpu',
        False,
        'train with all workers that scripts/run_horovod.sh or horovodrun has started',
        decides=False,
    )
    engine: str = option(
        'engine',
        'horovod',
        "what the workers communicate through: Horovod, or TensorFlow's own collectives (tf), which with TF_CONFIG do "
        'not need Horovod',
        choices=('horovod', 'tf'),
        decides=False,
    )
